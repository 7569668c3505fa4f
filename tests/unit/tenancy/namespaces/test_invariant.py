"""The ownership invariant, attacked with sequences of requests by users of every class."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.core import Namespace
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AdditionalMetadata, CoreOwner, UserSpec
from tenantry.api.tenant import NamespaceOptions, Tenant, TenantSpec
from tenantry.foundation.codec import Raw, encode, from_plain
from tenantry.tenancy.identity import role_of
from tenantry.tenancy.namespaces.claims import agrees, claim_of, tenant_of
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.mutation import mutate
from tenantry.tenancy.namespaces.validation import check
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.verdict import Mutation
from tenantry.tenancy.views import Installation, TenantView

LABEL: Final = "capsule.clastix.io/tenant"
PROMOTED: Final = "system:serviceaccount:a-dev:promoted"
ACCOUNT: Final = "system:serviceaccount:a-dev:builder"
OWN: Final = "system:serviceaccount:capsule-system:capsule"
CAPSULE: Final = frozenset({"projectcapsule.dev"})
ACCOUNTS: Final = frozenset({"system:serviceaccounts"})
USERS: Final = {
    "owner of a": Requester(username="alice", groups=CAPSULE),
    "owner of b": Requester(username="bob", groups=CAPSULE),
    "owner of both": Requester(username="carol", groups=CAPSULE | {"both"}),
    "administrator": Requester(username="root"),
    "promoted account": Requester(username=PROMOTED, groups=ACCOUNTS),
    "account": Requester(username=ACCOUNT, groups=ACCOUNTS),
    "capsule user": Requester(username="dave", groups=CAPSULE),
    "unknown": Requester(username="admin"),
    "owner nobody registered": Requester(username="erin"),
    "controller": Requester(username=OWN, groups=ACCOUNTS),
}
INSTALLATION: Final = Installation(
    configuration=CapsuleConfigurationSpec(administrators=(UserSpec(kind="User", name="root"),)),
    users=(UserSpec(kind="Group", name="projectcapsule.dev"),),
    own_accounts=frozenset({OWN}),
)


def _view(name: str, spec: TenantSpec, *owners: tuple[str, str]) -> TenantView:
    return TenantView(
        tenant=Tenant(metadata=ObjectMeta(name=name, uid=f"uid-{name}"), spec=spec),
        owners=tuple(CoreOwner(kind=kind, name=owner) for kind, owner in (*owners, ("User", "root"))),
    )


TENANTS: Final = {
    "a": _view(
        "a",
        TenantSpec(
            node_selector={"pool": "a"},
            namespace_options=NamespaceOptions(
                additional_metadata=AdditionalMetadata(
                    labels={"team": "a", LABEL: "b"}, annotations={"of": "{{namespace}} in {{tenant.name}}"}
                )
            ),
        ),
        ("User", "alice"),
        ("Group", "both"),
        ("ServiceAccount", PROMOTED),
        ("User", "erin"),
    ),
    "b": _view(
        "b",
        TenantSpec(namespace_options=NamespaceOptions(managed_metadata_only=True)),
        ("User", "bob"),
        ("Group", "both"),
    ),
}

REFERENCES: Final = ("a", "b", "a:random", "b:random", "gone", "/other")


def _reference(text: str) -> dict[str, Any]:
    if text.startswith("/"):
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": text[1:], "uid": "uid-other"}
    name, _, uid = text.partition(":")
    return {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": name, "uid": uid or f"uid-{name}"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One request: what somebody makes of a namespace; fields that are None stay as stored."""

    user: str
    name: str
    subresource: str = ""
    is_deletion: bool = False
    label: str | None = None
    """A dash removes it."""
    references: tuple[str, ...] | None = None
    note: str | None = None


steps = st.lists(
    st.builds(
        Step,
        user=st.sampled_from(sorted(USERS)),
        name=st.sampled_from(("a-dev", "b-dev", "dev", "kube-system")),
        subresource=st.sampled_from(("", "", "status", "finalize")),
        is_deletion=st.sampled_from((False, False, False, True)),
        label=st.sampled_from((None, None, "-", "", "a", "b", "gone")),
        references=st.none() | st.lists(st.sampled_from(REFERENCES), max_size=3, unique=True).map(tuple),
        note=st.sampled_from((None, "x", "y")),
    ),
    max_size=12,
)


@dataclass
class Cluster:
    """Namespaces behind both webhooks, as an API server keeps them."""

    namespaces: dict[str, dict[str, Any]] = field(default_factory=dict)

    def owner(self, name: str) -> str | None:
        """Return which tenant a namespace belongs to."""
        stored = self.namespaces.get(name)
        view = tenant_of(_metadata(stored), TENANTS) if stored else None
        return view.tenant.metadata.name if view else None

    def submit(self, step: Step) -> bool:
        """Run a request; return whether it was accepted."""
        old = self.namespaces.get(step.name)
        if old is None and (step.is_deletion or step.subresource):
            return False
        new = None if step.is_deletion else _submitted(step, old)
        context = _context(step.user)
        if new is not None and not step.subresource:
            mutation = mutate(_request(step, old, new), context)
            if mutation.denial is not None:
                return False
            new = _applied(new, mutation)
        if check(_request(step, old, new), context).denial is not None:
            return False
        if new is None:
            del self.namespaces[step.name]
        else:
            self.namespaces[step.name] = new
        return True


def _metadata(namespace: dict[str, Any]) -> ObjectMeta:
    return from_plain(namespace, Namespace).metadata


def _submitted(step: Step, old: dict[str, Any] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = dict(old["metadata"]) if old else {"name": step.name}
    labels = dict(metadata.get("labels", {})) | {"kubernetes.io/metadata.name": step.name}
    if step.user == "controller" and old is not None:
        step = replace(step, label=None)  # It is asked nothing, and trusted with what it writes.
    if step.label == "-":
        labels.pop(LABEL, None)
    elif step.label is not None:
        labels[LABEL] = step.label
    metadata["labels"] = labels
    if step.references is not None and step.user != "controller":
        metadata["ownerReferences"] = [_reference(one) for one in step.references]
    if step.note is not None:
        metadata["annotations"] = {**metadata.get("annotations", {}), "note": step.note}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _context(user: str) -> NamespaceContext:
    requester = USERS[user]
    home = "a" if requester.username in {PROMOTED, ACCOUNT} else None
    return NamespaceContext(
        installation=INSTALLATION,
        role=role_of(requester, INSTALLATION, home_tenant=home),
        tenants=TENANTS,
        candidates=tuple(view for view in TENANTS.values() if is_owner(requester, view.owners)),
    )


def _request(step: Step, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Request:
    return Request(
        operation=Operation.CREATE if old is None else Operation.DELETE if new is None else Operation.UPDATE,
        kind="Namespace",
        resource="namespaces",
        subresource=step.subresource,
        requester=USERS[step.user],
        object=None if new is None else Raw(encode(new)),
        old_object=None if old is None else Raw(encode(old)),
    )


def _applied(namespace: dict[str, Any], mutation: Mutation) -> dict[str, Any]:
    metadata = dict(namespace["metadata"])
    for part, wanted, gone in (
        ("labels", mutation.labels, mutation.remove_labels),
        ("annotations", mutation.annotations, mutation.remove_annotations),
    ):
        metadata[part] = {key: value for key, value in metadata.get(part, {}).items() if key not in gone} | dict(wanted)
    for operation in mutation.operations:
        metadata["ownerReferences"] = operation.value
    return {**namespace, "metadata": metadata}


@settings(deadline=None)
@given(steps)
def test_a_namespace_enters_and_leaves_a_tenant_by_owners_creation_and_administrators_alone(
    sequence: list[Step],
) -> None:
    cluster = Cluster()
    cluster.submit(Step(user="administrator", name="kube-system"))
    cluster.submit(Step(user="owner of a", name="a-dev"))
    for step in sequence:
        before, existed = cluster.owner(step.name), step.name in cluster.namespaces
        accepted = cluster.submit(step)
        after = cluster.owner(step.name)
        if step.name not in cluster.namespaces:
            continue
        claim = claim_of(_metadata(cluster.namespaces[step.name]))
        context = _context(step.user)

        assert claim.is_empty if after is None else agrees(claim, TENANTS[after].tenant), "label and reference agree"
        assert accepted or before == after, "a refused request changes nothing"
        if not existed:
            is_owners = after is not None and is_owner(USERS[step.user], TENANTS[after].owners)
            assert after is None or is_owners or context.role.is_admin, "only owners create into a tenant"
            assert after is not None or context.role is not Role.CAPSULE_USER, "Capsule users create into tenants"
        elif before != after:
            assert context.role is Role.ADMINISTRATOR, "only administrators join, migrate and release"
        elif accepted and context.role is Role.CAPSULE_USER:
            assert before is not None, "Capsule users write no namespace outside their tenants"
            assert is_owner(USERS[step.user], TENANTS[before].owners), "nor any of other tenants"


@settings(deadline=None, max_examples=40)
@given(steps)
def test_what_is_stored_is_a_fixed_point(sequence: list[Step]) -> None:
    """Whoever may write a namespace at all and submits it as it stands, stores it as it stands."""
    cluster = Cluster()
    for step in sequence:
        if not cluster.submit(step) or step.is_deletion:
            continue
        # What a subresource wrote may lack managed metadata, which the next write of the object brings back.
        cluster.submit(Step(user="administrator", name=step.name))
        stored = cluster.namespaces[step.name]
        for user in USERS:
            if cluster.submit(Step(user=user, name=step.name)):
                assert cluster.namespaces[step.name] == stored


@settings(deadline=None)
@given(steps)
def test_the_node_selector_of_a_tenant_is_always_there(sequence: list[Step]) -> None:
    cluster = Cluster()
    for step in sequence:
        cluster.submit(step)
        for name, stored in cluster.namespaces.items():
            if cluster.owner(name) == "a":
                annotations = stored["metadata"].get("annotations", {})
                assert annotations.get("scheduler.alpha.kubernetes.io/node-selector") == "pool=a"

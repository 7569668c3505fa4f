"""Who may change which tenant a namespace belongs to: the table of the specification, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tenantry.api.configuration import CapsuleConfigurationSpec
from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AdditionalMetadata, CoreOwner, UserSpec
from tenantry.api.tenant import NamespaceOptions, Tenant, TenantSpec
from tenantry.foundation.codec import Raw, encode
from tenantry.tenancy.identity import role_of
from tenantry.tenancy.namespaces.context import NamespaceContext
from tenantry.tenancy.namespaces.mutation import mutate
from tenantry.tenancy.namespaces.validation import check
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.verdict import Mutation
from tenantry.tenancy.views import Installation, TenantView

LABEL = "capsule.clastix.io/tenant"
NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
OWN = "system:serviceaccount:capsule-system:capsule"
CAPSULE = "projectcapsule.dev"
USERS = {
    "owner of A": Requester(username="alice", groups=frozenset({CAPSULE})),
    "owner of B": Requester(username="bob", groups=frozenset({CAPSULE})),
    "capsule user": Requester(username="carl", groups=frozenset({CAPSULE})),
    "administrator": Requester(username="root", groups=frozenset({"platform"})),
    "unlisted admin": Requester(username="admin", groups=frozenset({"system:authenticated"})),
    "account in A": Requester(
        username="system:serviceaccount:a-dev:builder", groups=frozenset({"system:serviceaccounts"})
    ),
    "superuser": Requester(username="kubernetes-admin", groups=frozenset({"system:masters"})),
    "kube-system": Requester(
        username="system:serviceaccount:kube-system:namespace-controller",
        groups=frozenset({"system:serviceaccounts", "system:serviceaccounts:kube-system"}),
    ),
    "controller": Requester(username=OWN, groups=frozenset({"system:serviceaccounts"})),
}
INSTALLATION = Installation(
    configuration=CapsuleConfigurationSpec(administrators=(UserSpec(kind="Group", name="platform"),)),
    users=(UserSpec(kind="Group", name=CAPSULE),),
    own_accounts=frozenset({OWN}),
)
OWNERS = {"a": "alice", "b": "bob"}


def _view(name: str, spec: TenantSpec | None = None, *, terminating: bool = False) -> TenantView:
    deleted = "2024-01-01T00:00:00Z" if terminating else None
    return TenantView(
        tenant=Tenant(
            metadata=ObjectMeta(name=name, uid=f"uid-{name}", deletion_timestamp=deleted),
            spec=spec or TenantSpec(),
        ),
        owners=(CoreOwner(kind="User", name=OWNERS[name]), CoreOwner(kind="Group", name="platform")),
    )


TENANTS = {"a": _view("a"), "b": _view("b")}


def _reference(text: str) -> dict[str, Any]:
    """``a`` is a valid reference to tenant a, ``a:x`` one with the uid x, ``/name`` one to a ConfigMap."""
    if text.startswith("/"):
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": text[1:], "uid": f"uid-{text[1:]}"}
    name, _, uid = text.partition(":")
    return {
        "apiVersion": "capsule.clastix.io/v1beta2",
        "kind": "Tenant",
        "name": name,
        "uid": uid or f"uid-{name}",
    }


def _namespace(
    label: str | None, *references: str, note: str | None = None, terminating: bool = False, name: str = "a-dev"
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": "uid-ns", "labels": {"kubernetes.io/metadata.name": name}}
    if label is not None:
        metadata["labels"][LABEL] = label
    if references:
        metadata["ownerReferences"] = [_reference(one) for one in references]
    if note is not None:
        metadata["annotations"] = {"note": note}
    if terminating:
        metadata["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _applied(namespace: dict[str, Any], mutation: Mutation) -> dict[str, Any]:
    """Return *namespace* with *mutation* written into it."""
    metadata = dict(namespace["metadata"])
    for field, wanted, gone in (
        ("labels", mutation.labels, mutation.remove_labels),
        ("annotations", mutation.annotations, mutation.remove_annotations),
    ):
        kept = {key: value for key, value in metadata.get(field, {}).items() if key not in gone}
        if kept or wanted:
            metadata[field] = {**kept, **wanted}
    for operation in mutation.operations:
        assert (operation.op, operation.path) == ("add", "/metadata/ownerReferences")
        metadata["ownerReferences"] = operation.value
    return {**namespace, "metadata": metadata}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a request: the object as it is stored, or why not."""

    stored: dict[str, Any] | None = None
    refused: str = ""


def _ask(
    user: str,
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    *,
    subresource: str = "",
    tenants: dict[str, TenantView] | None = None,
) -> Answer:
    """Run a request through both webhooks, as the API server does."""
    views = TENANTS if tenants is None else tenants
    requester = USERS[user]
    context = NamespaceContext(
        installation=INSTALLATION,
        role=role_of(requester, INSTALLATION, home_tenant="a" if user == "account in A" else None),
        tenants=views,
        candidates=tuple(view for view in views.values() if view.owners[0].name == requester.username),
    )
    operation = Operation.CREATE if old is None else Operation.DELETE if new is None else Operation.UPDATE

    def request(submitted: dict[str, Any] | None) -> Request:
        return Request(
            operation=operation,
            kind="Namespace",
            resource="namespaces",
            subresource=subresource,
            requester=requester,
            object=None if submitted is None else Raw(encode(submitted)),
            old_object=None if old is None else Raw(encode(old)),
        )

    if new is not None and not subresource:
        mutation = mutate(request(new), context)
        if mutation.denial is not None:
            return Answer(refused=mutation.denial.message)
        new = _applied(new, mutation)
        assert new == _applied(new, mutate(request(new), context)), "mutation is idempotent"
    verdict = check(request(new), context)
    return Answer(refused=verdict.denial.message) if verdict.denial is not None else Answer(stored=new)


OF_A = _namespace("a", "a")
UNMANAGED = _namespace(None)
NOT_INTO = "namespace can not be patched into a tenant"
NOT_OWNED = "namespace is not owned by any tenant"
NOT_OUT = "namespace can not be moved out of tenant 'a'"


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("user", ["owner of A", "capsule user"])
@pytest.mark.parametrize("name", ["a-dev", "kube-system"])
def test_a_capsule_user_changes_nothing_of_an_unmanaged_namespace(user: str, name: str, subresource: str) -> None:
    """One annotation is too much, in kube-system too."""
    answer = _ask(
        user,
        _namespace(None, name=name),
        _namespace(None, note="hello", name=name),
        subresource=subresource,
    )

    assert answer == Answer(refused=NOT_OWNED)


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("user", ["owner of A", "unlisted admin"])
@pytest.mark.parametrize(
    "submitted", [_namespace("a"), _namespace(None, "a"), _namespace("a", "a"), _namespace("b", "b")]
)
def test_an_unmanaged_namespace_is_not_patched_into_a_tenant(
    user: str, submitted: dict[str, Any], subresource: str
) -> None:
    answer = _ask(user, UNMANAGED, submitted, subresource=subresource)

    assert answer.refused.startswith(NOT_INTO)


@pytest.mark.parametrize("user", ["owner of A", "unlisted admin", "administrator"])
@pytest.mark.parametrize(
    "submitted",
    [
        _namespace(None, "a", note="kept"),
        _namespace("a", note="kept"),
        _namespace("a", "a:random", note="kept"),
        _namespace("a", "random", note="kept"),
        _namespace("a", "b", note="kept"),
        _namespace("a", "a", "b", note="kept"),
        _namespace("a", "a", note="kept"),
    ],
)
def test_what_still_names_the_tenant_is_put_right(user: str, submitted: dict[str, Any]) -> None:
    """The user's other changes stay."""
    assert _ask(user, OF_A, submitted) == Answer(stored=_namespace("a", "a", note="kept"))


@pytest.mark.parametrize("user", ["owner of A", "unlisted admin"])
@pytest.mark.parametrize("label", ["random", "b", ""])
def test_a_changed_label_beside_a_valid_reference_is_reverted(user: str, label: str) -> None:
    """A strategic merge patch that adds a reference leaves the valid one in place."""
    assert _ask(user, OF_A, _namespace(label, "a", "b")) == Answer(stored=OF_A)
    assert _ask(user, OF_A, _namespace(label, "a")) == Answer(stored=OF_A)


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("user", ["owner of A", "unlisted admin"])
@pytest.mark.parametrize(
    "submitted",
    [
        _namespace("b", "b"),
        _namespace(None),
        _namespace("b"),
        _namespace(None, "b"),
        _namespace(None, "a:random"),
        _namespace("random", "a:random"),
        _namespace("", "random"),
    ],
)
def test_a_namespace_does_not_leave_its_tenant(user: str, submitted: dict[str, Any], subresource: str) -> None:
    assert _ask(user, OF_A, submitted, subresource=subresource).refused.startswith(NOT_OUT)


@pytest.mark.parametrize("subresource", ["status", "finalize"])
@pytest.mark.parametrize("user", ["owner of A", "unlisted admin", "administrator"])
@pytest.mark.parametrize(
    ("old", "submitted"),
    [
        (OF_A, _namespace(None, "a")),
        (OF_A, _namespace("a")),
        (OF_A, _namespace("a", "a", "b")),
        (_namespace(None, "a"), OF_A),
    ],
)
def test_ownership_does_not_change_through_a_subresource(
    user: str, old: dict[str, Any], submitted: dict[str, Any], subresource: str
) -> None:
    """Nothing is put right there, so it must be as it was."""
    assert _ask(user, old, submitted, subresource=subresource) == Answer(
        refused=f"what namespace 'a-dev' belongs to can not change through namespaces/{subresource}"
    )


@pytest.mark.parametrize("subresource", ["status", "finalize"])
@pytest.mark.parametrize(("old", "submitted"), [(UNMANAGED, OF_A), (OF_A, UNMANAGED), (OF_A, _namespace("b", "b"))])
def test_administrators_join_and_release_through_the_object_itself(
    old: dict[str, Any], submitted: dict[str, Any], subresource: str
) -> None:
    assert "can not change through" in _ask("administrator", old, submitted, subresource=subresource).refused


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("user", ["owner of A", "unlisted admin", "administrator", "kube-system", "controller"])
def test_other_changes_pass(user: str, subresource: str) -> None:
    changed = _namespace("a", "a", note="hello")

    assert _ask(user, OF_A, changed, subresource=subresource) == Answer(stored=changed)


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("user", ["owner of B", "capsule user", "account in A"])
@pytest.mark.parametrize("submitted", [_namespace("a", "a", note="x"), _namespace("a", "a:x"), _namespace("b", "b")])
def test_capsule_users_who_are_no_owners_change_nothing(user: str, submitted: dict[str, Any], subresource: str) -> None:
    """All of them can patch every namespace of the cluster: a ServiceAccount in the namespace is no owner."""
    answer = _ask(user, OF_A, submitted, subresource=subresource)

    assert "is not an owner of tenant 'a'" in answer.refused


@pytest.mark.parametrize(
    ("old", "submitted", "stored"),
    [
        pytest.param(UNMANAGED, _namespace("a", "a"), OF_A, id="join"),
        pytest.param(UNMANAGED, _namespace("a"), OF_A, id="join by label"),
        pytest.param(_namespace("a"), _namespace("a", "a"), OF_A, id="adopt what was restored"),
        pytest.param(_namespace("a", "a:gone"), _namespace("a", "a"), OF_A, id="adopt under a new uid"),
        pytest.param(OF_A, _namespace("b", "b"), _namespace("b", "b"), id="migrate"),
        pytest.param(OF_A, _namespace("b", "a"), _namespace("b", "b"), id="migrate by label"),
        pytest.param(OF_A, UNMANAGED, UNMANAGED, id="unjoin"),
        pytest.param(OF_A, _namespace(None, "a"), OF_A, id="only the label removed"),
        pytest.param(OF_A, _namespace("a"), OF_A, id="only the reference removed"),
        pytest.param(UNMANAGED, _namespace(None, note="x"), _namespace(None, note="x"), id="not a tenant's"),
        pytest.param(OF_A, _namespace("a", "a", "/x"), _namespace("a", "a", "/x"), id="others' references stay"),
    ],
)
def test_administrators_join_migrate_and_unjoin(
    old: dict[str, Any], submitted: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert _ask("administrator", old, submitted) == Answer(stored=stored)


@pytest.mark.parametrize(
    ("submitted", "refused"),
    [
        (_namespace("nobody", "a"), "there is no tenant 'nobody' for the namespace to belong to"),
        (_namespace("nobody"), "there is no tenant 'nobody' for the namespace to belong to"),
        (
            _namespace(None, "b"),
            "an owner reference to a Tenant needs the label capsule.clastix.io/tenant with its name",
        ),
    ],
)
def test_administrators_name_existing_tenants_by_label(submitted: dict[str, Any], refused: str) -> None:
    assert _ask("administrator", OF_A, submitted) == Answer(refused=refused)


@pytest.mark.parametrize(
    ("user", "submitted", "answer"),
    [
        ("owner of A", _namespace(None), Answer(stored=OF_A)),
        ("owner of A", _namespace("a"), Answer(stored=OF_A)),
        ("owner of A", _namespace("a", "b", "/x"), Answer(stored=OF_A)),
        ("owner of A", _namespace(None, "b"), Answer(stored=OF_A)),
        (
            "owner of A",
            _namespace("b"),
            Answer(refused="can not assign the desired namespace to a non-owned Tenant"),
        ),
        (
            "owner of A",
            _namespace("nobody"),
            Answer(refused="can not assign the desired namespace to a non-owned Tenant"),
        ),
        (
            "capsule user",
            _namespace(None),
            Answer(refused="You do not have any Tenant assigned: please, reach out to the system administrators"),
        ),
        (
            "account in A",
            _namespace("a"),
            Answer(refused="can not assign the desired namespace to a non-owned Tenant"),
        ),
        ("administrator", _namespace(None), Answer(stored=UNMANAGED)),
        ("administrator", _namespace("b"), Answer(stored=_namespace("b", "b"))),
        (
            "administrator",
            _namespace("nobody"),
            Answer(refused="can not assign the desired namespace to a non-owned Tenant: there is no tenant 'nobody'"),
        ),
        ("unlisted admin", _namespace(None), Answer(stored=UNMANAGED)),
        (
            "unlisted admin",
            _namespace("a", "a"),
            Answer(refused="only tenant owners can create tenant-owned namespaces"),
        ),
        (
            "unlisted admin",
            _namespace("a"),
            Answer(refused="only tenant owners can create tenant-owned namespaces"),
        ),
        (
            "unlisted admin",
            _namespace(None, "b"),
            Answer(refused="only tenant owners can create tenant-owned namespaces"),
        ),
        ("superuser", _namespace("a"), Answer(stored=_namespace("a"))),
        ("kube-system", _namespace(None), Answer(stored=UNMANAGED)),
        ("controller", _namespace("a"), Answer(stored=OF_A)),
        ("controller", _namespace(None), Answer(stored=UNMANAGED)),
    ],
)
def test_creation(user: str, submitted: dict[str, Any], answer: Answer) -> None:
    """N-1 to N-4, N-6, N-20, N-21."""
    assert _ask(user, None, submitted) == answer


def test_a_new_namespace_without_a_tenant_is_refused_where_mutation_was_missed() -> None:
    """A Capsule user whose CREATE was not mutated does not get a namespace outside all tenants."""
    requester = USERS["owner of A"]
    request = Request(
        operation=Operation.CREATE,
        kind="Namespace",
        resource="namespaces",
        requester=requester,
        object=Raw(encode(UNMANAGED)),
    )
    context = NamespaceContext(
        installation=INSTALLATION, role=role_of(requester, INSTALLATION, home_tenant=None), tenants=TENANTS
    )

    verdict = check(request, context)

    assert verdict.denial is not None
    assert verdict.denial.message.startswith("namespace 'a-dev' was assigned to no Tenant")


@pytest.mark.parametrize("user", ["owner of A", "administrator"])
def test_nothing_enters_a_terminating_tenant(user: str) -> None:
    tenants = {"a": _view("a", terminating=True)}

    assert _ask(user, None, _namespace("a"), tenants=tenants) == Answer(
        refused="tenant 'a' is terminating: namespace 'a-dev' can not be placed in it"
    )


@pytest.mark.parametrize("submitted", [_namespace("b", "b", terminating=True), _namespace(None, terminating=True)])
def test_a_terminating_namespace_stays_where_it_is(submitted: dict[str, Any]) -> None:
    old = _namespace("a", "a", terminating=True)

    assert _ask("administrator", old, submitted) == Answer(
        refused="namespace 'a-dev' is terminating: what it belongs to can not change"
    )


@pytest.mark.parametrize("submitted", [_namespace("a", "a", note="x"), _namespace(None, "a")])
def test_a_namespace_of_a_terminating_tenant_can_still_be_changed(submitted: dict[str, Any]) -> None:
    tenants = {"a": _view("a", terminating=True)}

    assert _ask("owner of A", OF_A, submitted, tenants=tenants).refused == ""


@pytest.mark.parametrize("user", ["unlisted admin", "administrator"])
def test_what_is_left_of_a_tenant_that_is_gone_can_be_cleaned_up(user: str) -> None:
    assert _ask(user, _namespace("gone", "gone"), UNMANAGED) == Answer(stored=UNMANAGED)


@pytest.mark.parametrize("submitted", [_namespace("a"), _namespace(None), _namespace("a", "a:uid-a", note="x")])
def test_a_label_alone_makes_nobody_an_owner(submitted: dict[str, Any]) -> None:
    """A restored namespace, or one of a Tenant made anew, is adopted by an administrator alone."""
    stored = _namespace("a", "a:gone")

    assert _ask("owner of A", stored, submitted).refused.startswith((NOT_INTO, NOT_OWNED))
    assert _ask("unlisted admin", stored, submitted).refused.startswith(NOT_INTO)


def test_deleting_is_a_matter_of_rights_alone() -> None:
    for user in USERS:
        assert _ask(user, OF_A, None) == Answer()


@pytest.mark.parametrize("user", ["owner of A", "administrator", "unlisted admin", "superuser"])
@pytest.mark.parametrize("value", [None, "", "pool=gas", "pool=oil,x=y"])
def test_nobody_takes_a_namespace_off_the_nodes_of_its_tenant(user: str, value: str | None) -> None:
    tenants = {"a": _view("a", TenantSpec(node_selector={"pool": "oil", "disk": "ssd"}))}
    old, new = _namespace("a", "a"), _namespace("a", "a")
    old["metadata"]["annotations"] = {NODE_SELECTOR: "disk=ssd,pool=oil"}
    if value is not None:
        new["metadata"]["annotations"] = {NODE_SELECTOR: value}

    refused = _ask(user, old, new, tenants=tenants).refused

    assert refused.startswith(f"the annotation {NODE_SELECTOR} is enforced by tenant 'a' as 'disk=ssd,pool=oil'")


MANAGING = {
    "a": _view(
        "a",
        TenantSpec(
            cordoned=True,
            node_selector={"pool": "a"},
            namespace_options=NamespaceOptions(additional_metadata=AdditionalMetadata(labels={"team": "a"})),
        ),
    ),
    "b": _view("b", TenantSpec(node_selector={"pool": "b"})),
}


def _managed_by_a() -> dict[str, Any]:
    namespace = _namespace("a", "a")
    namespace["metadata"]["labels"] |= {"team": "a", "projectcapsule.dev/cordoned": "true", "own": "1"}
    namespace["metadata"]["annotations"] = {NODE_SELECTOR: "pool=a", "own": "1"}
    return namespace


def test_a_released_namespace_loses_what_its_tenant_managed() -> None:
    """Nobody else would take it away: the namespace is no tenant's any more."""
    submitted, released = _managed_by_a(), _namespace(None)
    del submitted["metadata"]["labels"][LABEL], submitted["metadata"]["ownerReferences"]
    released["metadata"]["labels"]["own"] = "1"
    released["metadata"]["annotations"] = {"own": "1"}

    assert _ask("administrator", _managed_by_a(), submitted, tenants=MANAGING) == Answer(stored=released)


def test_a_migrated_namespace_gets_what_the_new_tenant_manages_instead() -> None:
    submitted, migrated = _managed_by_a(), _namespace("b", "b")
    submitted["metadata"]["labels"][LABEL] = "b"
    migrated["metadata"]["labels"]["own"] = "1"
    migrated["metadata"]["annotations"] = {NODE_SELECTOR: "pool=b", "own": "1"}

    assert _ask("administrator", _managed_by_a(), submitted, tenants=MANAGING) == Answer(stored=migrated)

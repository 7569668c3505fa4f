"""The RoleBindings of a tenant's namespace: owners, additional ones, those of rules and promotions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.api.labels import ROLE_BINDING
from tenantry.api.meta import ObjectMeta
from tenantry.api.selecting import matches
from tenantry.api.shared import AdditionalRoleBinding, CoreOwner, OwnerSpec, Subject, UserSpec
from tenantry.foundation.hashing import length_prefixed_hash
from tenantry.tenancy.desired.manifests import Manifest, TenantFacts, managed_metadata

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
NAME_PREFIX: Final = "capsule:managed:"
_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A ClusterRole for subjects; *digest* is what its object is named by."""

    cluster_role: str
    subjects: tuple[Subject, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""


def subject_of(user: UserSpec) -> Subject:
    """Return the RBAC subject of an owner: a ServiceAccount's full name is split into its parts."""
    if user.kind == "ServiceAccount":
        namespace, _, name = user.name.removeprefix(_ACCOUNT_PREFIX).partition(":")
        return Subject(kind="ServiceAccount", name=name, namespace=namespace)
    return Subject(api_group=RBAC_GROUP, kind=user.kind, name=user.name)


def plain_subject(subject: Subject) -> dict[str, str]:
    """Return the subject as the API server stores it: users and groups have a group, accounts have none."""
    group = subject.api_group or (RBAC_GROUP if subject.kind in {"User", "Group"} else "")
    parts = {"apiGroup": group, "kind": subject.kind, "name": subject.name, "namespace": subject.namespace}
    return {key: value for key, value in parts.items() if value}


def binding(
    cluster_role: str,
    subjects: Iterable[Subject],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Binding:
    """Return a binding with its digest (spec 14.1); labels and annotations are no part of that."""
    listed = tuple(subjects)
    fields = [cluster_role]
    for each in listed:
        fields += [each.api_group, each.kind, each.namespace, each.name]
    return Binding(
        cluster_role=cluster_role,
        subjects=listed,
        labels=labels or {},
        annotations=annotations or {},
        digest=length_prefixed_hash(fields),
    )


def tenant_bindings(facts: TenantFacts) -> tuple[Binding, ...]:
    """Return the bindings that all namespaces of the tenant get."""
    declared = {(owner.kind, owner.name): owner for owner in reversed(facts.tenant.spec.owners)}
    owners = (each for owner in facts.owners for each in _owner_bindings(owner, declared.get((owner.kind, owner.name))))
    return _unique((*owners, *_additional(facts.tenant.spec.additional_role_bindings)))


def _owner_bindings(owner: CoreOwner, declared: OwnerSpec | None) -> Iterator[Binding]:
    for role in owner.cluster_roles:
        yield binding(
            role,
            (subject_of(owner),),
            labels=declared.labels if declared else None,
            annotations=declared.annotations if declared else None,
        )


def _additional(bindings: Iterable[AdditionalRoleBinding]) -> Iterator[Binding]:
    for each in bindings:
        yield binding(each.cluster_role_name, each.subjects, labels=each.labels, annotations=each.annotations)


def namespace_bindings(facts: TenantFacts, namespace: ObjectMeta) -> tuple[Binding, ...]:
    """Return the bindings that *namespace* gets besides :func:`tenant_bindings`: of rules and promotions."""
    rules = (
        each
        for rule in facts.tenant.spec.rules
        if rule.permissions is not None and matches(rule.namespace_selector, namespace.labels)
        for each in _additional(rule.permissions.bindings)
    )
    promoted = (
        binding(role, (subject_of(account),))
        for account in facts.promotions
        if namespace.name in account.targets
        for role in account.cluster_roles
    )
    return _unique((*rules, *promoted))


def _unique(bindings: Iterable[Binding]) -> tuple[Binding, ...]:
    """Return one binding a digest, with the labels and annotations of all; the first to say a key wins."""
    result: dict[str, Binding] = {}
    for each in bindings:
        if not each.cluster_role or not each.subjects:
            continue
        first = result.get(each.digest, each)
        result[each.digest] = Binding(
            cluster_role=each.cluster_role,
            subjects=each.subjects,
            labels={**each.labels, **first.labels},
            annotations={**each.annotations, **first.annotations},
            digest=each.digest,
        )
    return tuple(result.values())


def role_bindings(facts: TenantFacts, namespace: ObjectMeta, shared: tuple[Binding, ...]) -> list[Manifest]:
    """Return every managed RoleBinding of *namespace*.

    Args:
        facts: The tenant.
        namespace: One of its namespaces.
        shared: ``tenant_bindings(facts)``, computed once for all namespaces.
    """
    own = namespace_bindings(facts, namespace)
    return [_manifest(facts, namespace.name, each) for each in (_unique((*shared, *own)) if own else shared)]


def _manifest(facts: TenantFacts, namespace: str, each: Binding) -> Manifest:
    metadata: dict[str, Any] = managed_metadata(
        facts.tenant,
        namespace,
        NAME_PREFIX + each.digest,
        labels={**each.labels, ROLE_BINDING: each.digest},
        annotations=each.annotations,
    )
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": each.cluster_role},
        "subjects": [plain_subject(subject) for subject in each.subjects],
    }

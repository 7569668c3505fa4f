"""The CEL expressions by which our webhook entries choose their requests.

Each function returns one match condition: the API server makes the call only where all of an
entry's conditions hold.  An expression that fails refuses the request (with Fail), so each
looks before it reaches: *object* is null on DELETE, *oldObject* on CREATE, and what some
subresources carry (a Scale, an Eviction) has no labels or no metadata at all.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchconditions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tenantry.api import labels
from tenantry.api.configuration import MatchCondition
from tenantry.api.shared import UserSpec
from tenantry.foundation.codec import encode

SUPERUSERS: Final = "system:masters"
SYSTEM_GROUPS: Final = ("system:nodes", "system:serviceaccounts:kube-system")
"""Kubelets and the control plane's own ServiceAccounts."""
SYSTEM_USERS: Final = (
    "system:apiserver",
    "system:cloud-controller-manager",
    "system:kube-controller-manager",
    "system:kube-scheduler",
)
"""The control plane where its controllers have no ServiceAccounts of their own."""
JUDGED_POD_SUBRESOURCES: Final = ("ephemeralcontainers", "resize")
_METADATA_PATHS: Final = ("metadata.?labels", "metadata.?annotations")


def text(value: str) -> str:
    """Return *value* as a CEL string literal."""
    return encode(value).decode()


def text_list(values: Iterable[str]) -> str:
    """Return *values* as a CEL list literal, in order."""
    return "[" + ", ".join(text(value) for value in values) + "]"


def _in_groups(groups: Iterable[str]) -> str:
    return (
        f"(has(request.userInfo.groups) && request.userInfo.groups.exists(group, group in {text_list(sorted(groups))}))"
    )


def _is_one_of(subjects: Iterable[UserSpec]) -> str:
    """Return an expression that holds for a requester who is one of *subjects*."""
    users = sorted({one.name for one in subjects if one.kind != "Group"})
    groups = sorted({one.name for one in subjects if one.kind == "Group"})
    return f"(request.userInfo.username in {text_list(users)} || {_in_groups(groups)})"


def _by_system() -> str:
    return f"(request.userInfo.username in {text_list(SYSTEM_USERS)} || {_in_groups(SYSTEM_GROUPS)})"


def not_by_installation(own_accounts: Iterable[str]) -> MatchCondition:
    """Spare what the installation itself writes: it decided already."""
    return MatchCondition(
        name="not-by-the-installation",
        expression=f"!(request.userInfo.username in {text_list(sorted(own_accounts))})",
    )


def not_by_installation_but_into_tenants(own_accounts: Iterable[str]) -> MatchCondition:
    """As :func:`not_by_installation`, but for new namespaces that are to go into a tenant.

    The controllers make none; whoever acts as their account, which may be a TenantOwner,
    relies on admission to complete what the label says (spec 14.1).
    """
    by_others = not_by_installation(own_accounts)
    names_tenant = f"object.?metadata.?labels[?{text(labels.TENANT)}].hasValue()"
    return MatchCondition(
        name="not-by-the-installation-but-into-tenants",
        expression=f"{by_others.expression} || (request.operation == 'CREATE' && {names_tenant})",
    )


def not_by_system() -> MatchCondition:
    """Spare kubelets and the control plane: admission must never stop a cluster from starting (spec 13.1)."""
    return MatchCondition(name="not-by-the-system", expression=f"!{_by_system()}")


def not_by_superusers(administrators: Iterable[UserSpec], *, but_node_selector: bool) -> MatchCondition:
    """Spare system:masters, except those who are *administrators*: these want namespaces assigned.

    Args:
        administrators: Of the CapsuleConfiguration.
        but_node_selector: Whether an UPDATE that changes a namespace's node selector is
            judged all the same: nobody may take a tenant off its nodes (spec 14.1).
    """
    allowed = [f"!{_in_groups((SUPERUSERS,))}", _is_one_of(administrators)]
    if but_node_selector:
        allowed.append(f"(request.operation == 'UPDATE' && {_annotation_differs(labels.NODE_SELECTOR)})")
    return MatchCondition(name="not-by-superusers", expression=" || ".join(allowed))


def _annotation_differs(key: str) -> str:
    def value(one: str) -> str:
        return f"{one}.?metadata.?annotations[?{text(key)}].orValue('')"

    return f"{value('object')} != {value('oldObject')}"


def only_system_may_delete() -> MatchCondition:
    """Spare deletions by the control plane: of a terminating namespace's contents, of orphans."""
    return MatchCondition(
        name="not-collected-by-the-system",
        expression=f"request.operation != 'DELETE' || !{_by_system()}",
    )


def not_system_subresources() -> MatchCondition:
    """Spare statuses and bindings by kubelets and controllers, but not what brings new containers."""
    return MatchCondition(
        name="not-a-subresource-by-the-system",
        expression=(
            f"!has(request.subResource) || request.subResource in {text_list(('', *JUDGED_POD_SUBRESOURCES))}"
            f" || !{_by_system()}"
        ),
    )


def resources_other_than(resources: Iterable[tuple[str, str]]) -> MatchCondition:
    """Leave *resources*, pairs of group and plural, to other entries; the core group is empty."""
    names = sorted(f"{group}/{plural}" for group, plural in resources)
    return MatchCondition(
        name="not-judged-elsewhere",
        expression=f"!((request.resource.group + '/' + request.resource.resource) in {text_list(names)})",
    )


def not_managed() -> MatchCondition:
    """Leave the controllers' own objects, and what claims to be one, to the entry that selects them.

    The same test as that entry's object selector: the old or the new object, no subresource.
    """
    key, value = text(labels.MANAGED_BY), text(labels.MANAGED_BY_CONTROLLER)

    def is_managed(one: str) -> str:
        return (
            f"({one} != null && has({one}.metadata) && has({one}.metadata.labels) && {key} in {one}.metadata.labels"
            f" && {one}.metadata.labels[{key}] == {value})"
        )

    return MatchCondition(
        name="not-managed",
        expression=(
            "(has(request.subResource) && request.subResource != '')"
            f" || !({is_managed('object')} || {is_managed('oldObject')})"
        ),
    )


def not_merely_finishing() -> MatchCondition:
    """Spare an UPDATE of a terminating object that leaves spec, labels and annotations: finalizers go by it."""
    same = " && ".join(f"object.?{path} == oldObject.?{path}" for path in ("spec", *_METADATA_PATHS))
    return MatchCondition(
        name="not-merely-finishing",
        expression=(
            "request.operation != 'UPDATE' || !has(object.metadata) || !has(object.metadata.deletionTimestamp)"
            f" || !({same})"
        ),
    )


def metadata_changes() -> MatchCondition:
    """Spare an UPDATE that leaves labels and annotations alone: they were judged when they came.

    So the renewal of a Lease costs nothing.
    """
    same = " && ".join(f"object.?{path} == oldObject.?{path}" for path in _METADATA_PATHS)
    return MatchCondition(name="metadata-changes", expression=f"request.operation != 'UPDATE' || !({same})")


def something_to_add(*, specs_of: Iterable[str] = ()) -> MatchCondition:
    """Spare an UPDATE that leaves labels and annotations alone and has both of the tenant's labels.

    Args:
        specs_of: Plurals whose spec must be unchanged as well.
    """
    same = [f"object.?{path} == oldObject.?{path}" for path in _METADATA_PATHS]
    present = [
        "has(object.metadata.labels)",
        *(f"{text(key)} in object.metadata.labels" for key in (labels.CAPSULE_MANAGED_BY, labels.NEW_TENANT)),
    ]
    plurals = sorted(specs_of)
    if plurals:
        same.append(f"(!(request.resource.resource in {text_list(plurals)}) || object.?spec == oldObject.?spec)")
    return MatchCondition(
        name="something-to-add",
        expression=f"request.operation != 'UPDATE' || !({' && '.join((*present, *same))})",
    )


def by_capsule_users_or_administrators(
    users: Iterable[UserSpec] | None, administrators: Iterable[UserSpec] | None
) -> MatchCondition:
    """Call for these requesters alone (W-5); None leaves that class out.

    ServiceAccounts may be Capsule users by the namespace they live in, which no expression
    here can know: those outside kube-system all count.
    """
    parts = []
    if users is not None:
        parts += [
            _is_one_of(users),
            f"(request.userInfo.username.startsWith('system:serviceaccount:') && !{_in_groups(SYSTEM_GROUPS[1:])})",
        ]
    if administrators is not None:
        parts.append(_is_one_of(administrators))
    return MatchCondition(name="capsule-requesters", expression=" || ".join(parts))

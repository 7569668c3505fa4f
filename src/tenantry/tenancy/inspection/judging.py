"""Which running objects an edited Tenant would refuse if they were made anew (``tenantry tenant preview``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import UserSpec
from tenantry.api.workloads import Ingress
from tenantry.foundation.codec import DecodeError, Model, Raw, decode, decode_any, encode
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.checks.ingresses import host_paths
from tenantry.tenancy.desired.manifests import TenantFacts
from tenantry.tenancy.identity import KUBE_SYSTEM_GROUP, SERVICE_ACCOUNT_PREFIX, account_name, role_of
from tenantry.tenancy.owners import is_owner
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.rules.effective import effective_rules
from tenantry.tenancy.rules.ruleset import RuleSet
from tenantry.tenancy.table import Stage, rows_of
from tenantry.tenancy.verdict import Denial, Mutation
from tenantry.tenancy.views import ClassEntry, ClassKind, IngressUse, Installation, Lookups, ObjectContext
from tenantry.tenancy.webhook_defaults import MUTATING_PATH, VALIDATING_PATH

NOT_ABOUT_CONTENT: Final = frozenset({"cordoning", "managed", "promotion", "rulestatus", "labels"})
"""Rows of the table that judge who writes when, not what is written."""
_ENDED: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An object as it is stored."""

    group: str
    version: str
    kind: str
    resource: str
    namespace: str
    name: str
    content: Raw


class _Status(Model):
    phase: str = ""


class _Outline(Model):
    metadata: ObjectMeta = ObjectMeta()
    status: _Status = _Status()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An object that could not be made anew."""

    kind: str
    namespace: str
    name: str
    reason: str
    message: str
    is_new: bool
    """Whether the Tenant as it is now would let it through."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Lookups in what was listed."""

    classes: Mapping[ClassKind, Sequence[ClassEntry]] = field(default_factory=dict)
    volumes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ingresses: Mapping[tuple[str, str], Sequence[IngressUse]] = field(default_factory=dict)

    def cluster_class(self, kind: ClassKind, name: str) -> ClassEntry | None:
        """See Lookups."""
        return next((each for each in self.classes.get(kind, ()) if each.name == name), None)

    def cluster_classes(self, kind: ClassKind) -> Iterable[ClassEntry]:
        """See Lookups."""
        return self.classes.get(kind, ())

    def volume_labels(self, name: str) -> Mapping[str, str] | None:
        """See Lookups."""
        return self.volumes.get(name)

    def ingresses_using(self, host: str, path: str) -> Iterable[IngressUse]:
        """See Lookups."""
        return self.ingresses.get((host, path), ())


def ingress_index(ingresses: Iterable[Ingress], tenants: Mapping[str, str]) -> dict[tuple[str, str], list[IngressUse]]:
    """Return who uses each host and path; *tenants* is the tenant of each namespace that is in one."""
    index: dict[tuple[str, str], list[IngressUse]] = {}
    for each in ingresses:
        namespace = each.metadata.namespace
        use = IngressUse(namespace=namespace, name=each.metadata.name, tenant=tenants.get(namespace, ""))
        for pair in host_paths(each):
            index.setdefault(pair, []).append(use)
    return index


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """One edition of a Tenant, with all that its verdicts depend on."""

    facts: TenantFacts
    installation: Installation
    members: Mapping[str, ObjectMeta]
    lookups: Lookups
    _rules: dict[str, RuleSet] = field(default_factory=dict)

    def denial(self, running: Running) -> Denial | None:
        """Return why *running* could not be made anew; None where it could, or its namespace is none of these.

        What a controller made (a Pod of a Deployment) is judged as made by that controller, the
        rest as made by the tenant's first owner: who made it once is not stored.
        """
        namespace = self.members.get(running.namespace)
        if namespace is None:
            return None
        requester = _requester(running, self.facts.owners)
        context = self._context(requester, namespace)
        try:
            changed = _mutated(_request(running, requester, running.content), context)
            if isinstance(changed, Denial):
                return changed
            return _refusal(_request(running, requester, changed), context)
        except DecodeError as error:
            return Denial(reason="AdmissionFailed", message=f"it cannot be read: {error}")

    def _context(self, requester: Requester, namespace: ObjectMeta) -> ObjectContext:
        tenant = self.facts.tenant
        if namespace.name not in self._rules:
            self._rules[namespace.name] = effective_rules(tenant, namespace)
        account = account_name(requester.username)
        home = tenant.metadata.name if account is not None and account.namespace in self.members else None
        return ObjectContext(
            installation=self.installation,
            role=role_of(requester, self.installation, home_tenant=home),
            tenant=tenant,
            owners=self.facts.owners,
            is_owner=is_owner(requester, self.facts.owners),
            namespace=namespace,
            rules=self._rules[namespace.name],
            lookups=self.lookups,
        )


def refused(objects: Iterable[Running], *, edited: Judge, stored: Judge) -> tuple[Refused, ...]:
    """Return the *objects* that the *edited* Tenant would refuse, and whether the *stored* one lets them through."""
    found = []
    for each in objects:
        if _is_over(each):
            continue
        denial = edited.denial(each)
        if denial is not None:
            found.append(
                Refused(
                    kind=each.kind,
                    namespace=each.namespace,
                    name=each.name,
                    reason=denial.reason,
                    message=denial.message,
                    is_new=stored.denial(each) is None,
                )
            )
    return tuple(found)


def _is_over(running: Running) -> bool:
    outline = decode(running.content, _Outline)
    return outline.metadata.deletion_timestamp is not None or outline.status.phase in _ENDED


def _requester(running: Running, owners: Sequence[UserSpec]) -> Requester:
    references = decode(running.content, _Outline).metadata.owner_references
    controller = next((each for each in references if each.controller), None)
    if controller is not None or not owners:
        kind = controller.kind.lower() if controller is not None else "generic"
        return Requester(
            username=f"{SERVICE_ACCOUNT_PREFIX}kube-system:{kind}-controller",
            groups=frozenset({"system:serviceaccounts", KUBE_SYSTEM_GROUP, "system:authenticated"}),
        )
    first = owners[0]
    if first.kind == "Group":
        return Requester(username="somebody", groups=frozenset({first.name, "system:authenticated"}))
    account = account_name(first.name)
    groups = {"system:authenticated"}
    if account is not None:
        groups |= {"system:serviceaccounts", f"system:serviceaccounts:{account.namespace}"}
    return Requester(username=first.name, groups=frozenset(groups))


def _request(running: Running, requester: Requester, content: Raw) -> Request:
    return Request(
        operation=Operation.CREATE,
        group=running.group,
        version=running.version,
        kind=running.kind,
        resource=running.resource,
        namespace=running.namespace,
        name=running.name,
        requester=requester,
        object=content,
        dry_run=True,
    )


def _mutated(request: Request, context: ObjectContext) -> Raw | Denial:
    """Return the object as the mutating rows make it."""
    plain: dict[str, Any] = {}
    for row in rows_of(MUTATING_PATH, request):
        if row.name in NOT_ABOUT_CONTENT or row.stage is not Stage.MUTATING:
            continue
        mutation: Mutation = row.function(request, context)
        if mutation.denial is not None:
            return mutation.denial
        plain = _applied(plain or decode_any(request.object or b"{}"), mutation)
    return Raw(encode(plain)) if plain else (request.object or Raw(b"{}"))


def _refusal(request: Request, context: ObjectContext) -> Denial | None:
    for row in rows_of(VALIDATING_PATH, request):
        if row.name not in NOT_ABOUT_CONTENT:
            denial: Denial | None = row.function(request, context).denial
            if denial is not None:
                return denial
    return None


def _applied(plain: dict[str, Any], mutation: Mutation) -> dict[str, Any]:
    changed = deepcopy(plain)
    metadata = changed.setdefault("metadata", {})
    for part, wanted, removed in (
        ("labels", mutation.labels, mutation.remove_labels),
        ("annotations", mutation.annotations, mutation.remove_annotations),
    ):
        if wanted or removed:
            kept = {key: value for key, value in (metadata.get(part) or {}).items() if key not in removed}
            metadata[part] = {**kept, **wanted}
    for operation in mutation.operations:
        _apply(changed, operation)
    return changed


def _apply(document: dict[str, Any], operation: PatchOperation) -> None:
    """Apply one operation of RFC 6902 in place; a path that is not there is left alone."""
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation.path.split("/")[1:]]
    place: Any = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if isinstance(place, list):
        _apply_to_list(place, last, operation)
    elif operation.op == "remove":
        place.pop(last, None)
    else:
        place[last] = operation.value


def _apply_to_list(place: list[Any], last: str, operation: PatchOperation) -> None:
    index = len(place) if last == "-" else int(last)
    if operation.op == "add":
        place.insert(index, operation.value)
    elif operation.op == "replace":
        place[index] = operation.value
    else:
        del place[index]

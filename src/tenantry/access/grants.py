"""Puts together what a principal sees, from the objects that name it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tenantry.access.identity import Identity
from tenantry.access.proxy_rules import proxy_rule
from tenantry.access.visibility import PrincipalView, TenantShare
from tenantry.api.proxy import ClusterResource, GlobalProxySettings, ProxySetting, TenantSubject
from tenantry.api.shared import ProxyOperations, UserSpec
from tenantry.api.tenant import Tenant

S = TypeVar("S", bound=UserSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The objects that name a principal, and the tenants these are about; order means nothing."""

    owned: tuple[Tenant, ...] = ()
    """Tenants that the principal owns in effect."""
    namespaces: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By tenant, for all tenants that occur here: the namespaces that belong to it."""
    settings: tuple[tuple[ProxySetting, Tenant], ...] = ()
    """ProxySettings that name it, with the tenant of their namespace; those in no tenant's grant nothing."""
    global_settings: tuple[GlobalProxySettings, ...] = ()
    bound_namespaces: frozenset[str] = frozenset()
    listed_namespaces: frozenset[str] = frozenset()


def principal_view(identity: Identity, keys: frozenset[str], found: Findings) -> PrincipalView:
    """Return what the principal of these subject *keys* sees.

    A subject of a ProxySetting sees the tenant of the setting's namespace as an owner does:
    the Tenant itself and its namespaces.  What it may read in these is RBAC's to say.
    """
    tenants = {tenant.metadata.name: tenant for tenant in found.owned}
    operations: dict[str, dict[str, set[str]]] = {name: {} for name in tenants}
    for tenant in found.owned:
        for owner in _named(tenant.spec.owners, keys):
            _add(operations[tenant.metadata.name], owner.proxy_settings)
    for subject, tenant in _subjects(found, keys):
        tenants.setdefault(tenant.metadata.name, tenant)
        _add(operations.setdefault(tenant.metadata.name, {}), subject.proxy_settings)
    return PrincipalView(
        identity=identity,
        subject_keys=keys,
        tenants=tuple(
            TenantShare(
                tenant=tenants[name],
                namespaces=found.namespaces.get(name, frozenset()),
                operations={kind: frozenset(granted) for kind, granted in operations[name].items()},
            )
            for name in sorted(tenants)
        ),
        bound_namespaces=found.bound_namespaces | found.listed_namespaces,
        listed_namespaces=found.listed_namespaces,
        rules=tuple(proxy_rule(entry) for entry in _entries(found, keys)),
    )


def setting_keys(setting: ProxySetting) -> frozenset[str]:
    """Return the keys of the subjects of a ProxySetting."""
    return frozenset(_key(subject) for subject in setting.spec.subjects)


def global_setting_keys(setting: GlobalProxySettings) -> frozenset[str]:
    """Return the keys of the subjects of all rules."""
    return frozenset(_key(subject) for rule in setting.spec.rules for subject in rule.subjects)


def _entries(found: Findings, keys: frozenset[str]) -> Iterator[ClusterResource]:
    for subject, _ in _subjects(found, keys):
        yield from subject.cluster_resources
    for settings in found.global_settings:
        for rule in settings.spec.rules:
            if any(_key(subject) in keys for subject in rule.subjects):
                yield from rule.cluster_resources


def _subjects(found: Findings, keys: frozenset[str]) -> Iterator[tuple[TenantSubject, Tenant]]:
    for setting, tenant in found.settings:
        for subject in _named(setting.spec.subjects, keys):
            yield subject, tenant


def _named(subjects: Iterable[S], keys: frozenset[str]) -> Iterator[S]:
    return (subject for subject in subjects if _key(subject) in keys)


def _key(subject: UserSpec) -> str:
    return f"{subject.kind}:{subject.name}"


def _add(operations: dict[str, set[str]], settings: Iterable[ProxyOperations]) -> None:
    for setting in settings:
        operations.setdefault(setting.kind, set()).update(setting.operations)

"""What each principal sees now, and since which version: worked out when asked for, and kept until it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from tenantry.access.grants import Findings, principal_view
from tenantry.access.identity import Identity
from tenantry.access.principals import Audience, subject_keys
from tenantry.access.visibility import PrincipalView
from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import RoleBinding
from tenantry.api.meta import PartialObject
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.api.tenant import Tenant
from tenantry.gateway.knowledge.affected import (
    NOBODY,
    by_binding,
    by_global_setting,
    by_namespace,
    by_setting,
    by_tenant,
    opens_lists,
)
from tenantry.gateway.knowledge.sources import BY_SUBJECT, Sources
from tenantry.gateway.knowledge.tenants import TenantIndex
from tenantry.gateway.settings import VisibilitySettings
from tenantry.kube.cache import Change
from tenantry.kube.resources import KubernetesObject
from tenantry.kube.store import version_of
from tenantry.tenancy.identity import account_name

T = TypeVar("T", bound=KubernetesObject)
ViewCallback = Callable[[frozenset[str] | None, int], None]
"""Gets the subject keys whose views may have changed (None: anybody's) and the version of the change."""
_KEPT: Final = 5_000
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    """A principal's view, and up to which change it is known to hold."""

    view: PrincipalView | None
    keys: frozenset[str]
    checked_at: int


class Views:
    """Answers of :class:`tenantry.gateway.knowledge.knowledge.Knowledge`; silent until :meth:`start`."""

    def __init__(self, sources: Sources, settings: VisibilitySettings) -> None:
        self._sources = sources
        self._settings = settings
        self._index = TenantIndex(sources)
        self._audience = Audience()
        self._views: dict[Identity, _Entry] = {}
        self._count = 0
        """Of changes so far: a clock for what is kept."""
        self._changed_at: dict[str, int] = {}
        self._all_changed_at = 0
        self._versions: dict[str, int] = {}
        self._all_version = 0
        self._handed_out: list[Callable[[], int]] = []
        self._subscribers: list[ViewCallback] = []

    def start(self) -> None:
        """Begin to follow the caches, all of which were listed; what was before counts as unknown."""
        sources = self._sources
        sources.configurations.subscribe(self._configuration_changed)
        sources.tenants.subscribe(self._tenant_changed)
        sources.namespaces.subscribe(self._namespace_changed)
        sources.role_bindings.subscribe(self._binding_changed)
        sources.settings.subscribe(self._setting_changed)
        sources.global_settings.subscribe(self._global_setting_changed)
        self._audience = self._current_audience()
        self._all_version = sources.version

    def apply(self, settings: VisibilitySettings) -> None:
        """Go by other settings from now on."""
        if settings == self._settings:
            return
        self._settings = settings
        self._audience = self._current_audience()
        self._changed(None, self._sources.version)

    def subscribe(self, callback: ViewCallback) -> None:
        """Have *callback* called after each change; it must not wait."""
        self._subscribers.append(callback)

    def follow_versions(self, source: Callable[[], int]) -> None:
        """Have changes count as later than every version that clients were given: *source* tells the highest."""
        self._handed_out.append(source)

    def view(self, identity: Identity) -> PrincipalView | None:
        """Return what *identity* sees; None for whoever is not filtered."""
        entry = self._views.get(identity)
        if entry is not None and self._still_holds(entry):
            return entry.view
        entry = self._worked_out(identity)
        self._views.pop(identity, None)
        while len(self._views) >= _KEPT:
            del self._views[next(iter(self._views))]
        self._views[identity] = entry
        return entry.view

    def changed_version(self, identity: Identity) -> int:
        """Return the version before which nothing is known of what *identity* saw."""
        entry = self._views.get(identity)
        keys = entry.keys if entry is not None else subject_keys(identity)
        versions = self._versions
        return max(self._all_version, max((versions.get(key, 0) for key in keys), default=0))

    def _still_holds(self, entry: _Entry) -> bool:
        if entry.checked_at == self._count:
            return True
        changed, checked = self._changed_at, entry.checked_at
        if self._all_changed_at > checked or any(changed.get(key, 0) > checked for key in entry.keys):
            return False
        entry.checked_at = self._count
        return True

    def _worked_out(self, identity: Identity) -> _Entry:
        keys = subject_keys(identity)
        account = account_name(identity.user)
        lives_in_tenant = account is not None and self._index.tenant_in(account.namespace) is not None
        is_filtered = self._audience.includes(identity, lives_in_tenant=lives_in_tenant)
        view = principal_view(identity, keys, self._findings(keys)) if is_filtered else None
        return _Entry(view=view, keys=keys, checked_at=self._count)

    def _findings(self, keys: frozenset[str]) -> Findings:
        sources, index = self._sources, self._index
        owned = {each.metadata.name: each for key in keys for each in sources.tenants.by_index(BY_SUBJECT, key)}
        bindings = [each for key in keys for each in sources.role_bindings.by_index(BY_SUBJECT, key)]
        settings = {
            (each.metadata.namespace, each.metadata.name): each
            for key in keys
            for each in sources.settings.by_index(BY_SUBJECT, key)
        }
        placed = [(each, index.tenant_in(namespace)) for (namespace, _), each in settings.items()]
        in_tenants = tuple((each, tenant) for each, tenant in placed if tenant is not None)
        shown = owned.keys() | {tenant.metadata.name for _, tenant in in_tenants}
        return Findings(
            owned=tuple(owned.values()),
            namespaces={name: index.namespaces(name) for name in shown},
            settings=in_tenants,
            global_settings=tuple(
                {
                    each.metadata.name: each
                    for key in keys
                    for each in sources.global_settings.by_index(BY_SUBJECT, key)
                }.values()
            ),
            bound_namespaces=frozenset(each.metadata.namespace for each in bindings),
            listed_namespaces=frozenset(each.metadata.namespace for each in bindings if self._opens_lists(each)),
        )

    def _opens_lists(self, binding: RoleBinding) -> bool:
        return not self._settings.role_bindings_need_label or opens_lists(binding)

    def _current_audience(self) -> Audience:
        settings = self._settings
        return Audience.of(
            self._sources.configurations.get(settings.configuration_name),
            ignored_users=settings.ignored_users,
            ignored_groups=settings.ignored_groups,
        )

    def _configuration_changed(self, change: Change[CapsuleConfiguration]) -> None:
        audience = self._current_audience()
        if audience != self._audience:
            self._audience = audience
            self._changed(None, self._version_of(change))

    def _tenant_changed(self, change: Change[Tenant]) -> None:
        if change.old is None or change.new is None or change.old.metadata.uid != change.new.metadata.uid:
            for each in (change.old, change.new):
                if each is not None:
                    self._index.forget_tenant(each.metadata.name)
        self._changed(by_tenant(change, self._index), self._version_of(change))

    def _namespace_changed(self, change: Change[PartialObject]) -> None:
        for each in (change.old, change.new):
            if each is not None:
                self._index.forget(each.metadata)
        self._changed(by_namespace(change, self._index), self._version_of(change))

    def _binding_changed(self, change: Change[RoleBinding]) -> None:
        self._changed(by_binding(change), self._version_of(change))

    def _setting_changed(self, change: Change[ProxySetting]) -> None:
        self._changed(by_setting(change), self._version_of(change))

    def _global_setting_changed(self, change: Change[GlobalProxySettings]) -> None:
        self._changed(by_global_setting(change), self._version_of(change))

    def _version_of(self, change: Change[T]) -> int:
        """Return the version of a change; for a deletion, which tells none, the highest that is known by now."""
        return version_of(change.new) if change.new is not None else self._sources.version

    def _changed(self, keys: frozenset[str] | None, version: int) -> None:
        """Take note of a change of what *keys* see, and tell; None: of everybody."""
        if keys == NOBODY:
            return
        # Whoever was given a higher version than the change's, before we knew of it, saw the world from before.
        version = max(version, self._highest_handed_out() + 1)
        self._count += 1
        if keys is None:
            self._all_changed_at, self._all_version = self._count, version
        else:
            self._note(keys, version)
        for callback in self._subscribers:
            try:
                callback(keys, version)
            except Exception:  # noqa: BLE001 - one subscriber's bug must not keep the others from knowing
                _log.exception("views.subscriber_failed")

    def _note(self, keys: Iterable[str], version: int) -> None:
        for key in keys:
            self._changed_at[key] = self._count
            self._versions[key] = max(version, self._versions.get(key, 0))

    def _highest_handed_out(self) -> int:
        return max((source() for source in self._handed_out), default=0)

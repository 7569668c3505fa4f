"""Hosts and paths of Ingresses, each taken once, over any number of replicas (L-11, spec 13.14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tenantry.admission.reservations import Entries, Ledgers, Sightings, ledger_key
from tenantry.api.workloads import Ingress
from tenantry.foundation.clock import Clock
from tenantry.tenancy.checks.ingresses import host_paths
from tenantry.tenancy.request import Operation, Request, Role
from tenantry.tenancy.table import rows_of
from tenantry.tenancy.views import IngressUse, ObjectContext

PURPOSE: Final = "host"
_SEPARATOR: Final = "/"

Pair = tuple[str, str]
"""A host and a path."""


def is_about_hosts(path: str, request: Request) -> bool:
    """Return whether *request*, at *path*, is judged for what hosts it takes."""
    return request.resource == "ingresses" and any(row.name == "ingresses" for row in rows_of(path, request))


class HostReservations:
    """Reserves what an Ingress takes, for tenants whose hosts may not collide."""

    def __init__(self, ledgers: Ledgers, sightings: Sightings, clock: Clock) -> None:
        self._ledgers = ledgers
        self._sightings = sightings
        self._clock = clock

    async def reserve(self, request: Request, view: ObjectContext) -> Mapping[Pair, Sequence[IngressUse]] | None:
        """Reserve what the Ingress takes, and return by whom it was reserved before.

        What those have stored meanwhile is to be looked up after this returns.  None means
        that the Ingress takes nothing, or nothing that anybody minds.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        found: dict[Pair, Sequence[IngressUse]] = {}
        own = _entry(request, view)
        pairs = _taken(request, view)
        if not pairs:
            return None
        for pair in pairs:
            if request.dry_run:
                entries = await self._ledgers.entries(ledger_key(*pair))
            else:
                entries = await self._ledgers.reserve(ledger_key(*pair), own, admit=lambda _: True)
            uses = self._uses({entry: made for entry, made in entries.items() if entry != own})
            if uses:
                found[pair] = uses
        return found

    async def release(self, request: Request, view: ObjectContext) -> None:
        """Take back what :meth:`reserve` reserved."""
        if not request.dry_run:
            for pair in _taken(request, view):
                await self._ledgers.release(ledger_key(*pair), _entry(request, view))

    def _uses(self, entries: Entries) -> list[IngressUse]:
        made = {_key(entry): moment for entry, moment in entries.items()}
        unsettled = self._sightings.unsettled(made, before=self._clock.now())
        uses = (_use(entry) for entry in sorted(entries))
        return [use for use in uses if f"{use.namespace}{_SEPARATOR}{use.name}" in unsettled]


def _taken(request: Request, view: ObjectContext) -> list[Pair]:
    """Return what the Ingress takes that it did not have before; nothing where collisions are no matter."""
    options = view.tenant.spec.ingress_options
    if options is None or options.hostname_collision_scope == "Disabled" or view.role is Role.CONTROLLER:
        return []
    if request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return []
    old = request.old(Ingress)
    known = host_paths(old) if old is not None else ()
    # In one order for everybody, so that two Ingresses with the same pairs never wait for each other.
    return sorted(pair for pair in host_paths(request.new(Ingress)) if pair not in known)


def _entry(request: Request, view: ObjectContext) -> str:
    name = request.new(Ingress).metadata.name
    return _SEPARATOR.join((request.namespace, name, view.tenant.metadata.name))


def _key(entry: str) -> str:
    return entry.rpartition(_SEPARATOR)[0]


def _use(entry: str) -> IngressUse:
    namespace, name, tenant = (*entry.split(_SEPARATOR), "", "")[:3]
    return IngressUse(namespace=namespace, name=name, tenant=tenant)

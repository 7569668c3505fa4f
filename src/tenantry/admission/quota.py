"""How many namespaces a tenant has, exactly, over any number of replicas (N-13, spec 13.14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from tenantry.admission.knowledge import Question, Topic
from tenantry.admission.live import LiveReader
from tenantry.admission.reservations import Entries, Ledgers, Sightings
from tenantry.api.core import Namespace
from tenantry.api.tenant import Tenant
from tenantry.foundation.clock import Clock
from tenantry.tenancy.namespaces.claims import claim_of
from tenantry.tenancy.request import Operation, Request

PURPOSE: Final = "namespaces"


class NamespaceQuota:
    """Counts and reserves the names of namespaces, for tenants with a quota alone."""

    def __init__(self, ledgers: Ledgers, reader: LiveReader, sightings: Sightings, clock: Clock) -> None:
        self._ledgers = ledgers
        self._reader = reader
        self._sightings = sightings
        self._clock = clock

    async def counted(self, request: Request, answers: Mapping[Question, object]) -> frozenset[str] | None:
        """Return the names that count against the quota, the new one reserved if there is room for it.

        Args:
            request: Let through by everything else.
            answers: With the tenant that the namespace names.

        Returns:
            None where no quota is concerned.

        Raises:
            TenantryError: The API server refuses, or does not answer.
        """
        if request.operation is not Operation.CREATE or request.subresource:
            return None
        metadata = request.new(Namespace).metadata
        label = claim_of(metadata).label or ""
        tenant = cast("Tenant | None", answers.get(Question(Topic.TENANT, label)))
        options = tenant.spec.namespace_options if tenant is not None else None
        if options is None or options.quota is None:
            return None
        limit = options.quota
        # What is seen from here on may be missing in the list; what was seen before is in it.
        before = self._clock.now()
        existing = cast("frozenset[str]", await self._reader.read(Question(Topic.NAMESPACES, label)))

        def counted(others: Entries) -> frozenset[str]:
            return existing | self._sightings.unsettled(others, before=before)

        def has_room(others: Entries) -> bool:
            return metadata.name in existing or len(counted(others)) < limit

        if request.dry_run:
            return counted(await self._ledgers.entries(label))
        return counted(await self._ledgers.reserve(label, metadata.name, admit=has_room))

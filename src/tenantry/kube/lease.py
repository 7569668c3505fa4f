"""Leader election by a Lease: of all processes that ask for it, one leads.

The rules are those of client-go's ``leaderelection``, so that both kinds of process can
share a Lease.  Clocks of other machines are never read: a lease counts as expired when it did not
change for its whole length *as seen from here*.  A leader stops itself before that, at
``renew_seconds`` without a successful renewal, so that two never lead at once as long as
the led work ends within ``lease_seconds - renew_seconds`` of its cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from tenantry.api.core import Lease, LeaseSpec
from tenantry.foundation.clock import Clock, SystemClock, rfc3339_micro
from tenantry.foundation.errors import TenantryError
from tenantry.kube.backoff import jittered
from tenantry.kube.client import Client
from tenantry.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from tenantry.kube.resources import LEASES

RELEASE_SECONDS = 3.0
"""How long a clean stop waits for the release; without it the others wait for the expiry."""

_log = structlog.get_logger(__name__)


class _LeaseLostError(Exception):
    """Somebody else leads, or may soon."""


class LeaderElection:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        lease_seconds: float = 15,
        renew_seconds: float = 10,
        retry_seconds: float = 2,
        clock: Clock | None = None,
    ) -> None:
        """Ask for nothing yet.

        Args:
            client: Needs get, create and update on Leases in *namespace*.
            namespace: Of the Lease.
            name: Of the Lease.
            identity: Unique among the candidates.
            lease_seconds: How long the others wait for a leader that is silent.
            renew_seconds: How long a leader goes on without reaching the server.
            retry_seconds: The time between two looks at the Lease, or two renewals.
            clock: For the times that are written; none of them decides anything.
        """
        if not retry_seconds < renew_seconds < lease_seconds:
            raise ValueError("retry_seconds < renew_seconds < lease_seconds does not hold")
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._retry_seconds = retry_seconds
        self._clock: Clock = clock or SystemClock()
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._claimed_at = 0.0
        self.is_leader = False

    @property
    def holder(self) -> str:
        """Who holds the lease as far as was seen; empty where nobody does."""
        return (self._seen.spec.holder_identity or "") if self._seen is not None else ""

    async def run(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the lease, run *lead*, and give the lease back when it ends.

        When the lease is lost, *lead* is cancelled, and a new one is run once the lease is won
        again.  Cancelling this cancels *lead*, waits for its end and then releases the lease,
        so that another candidate goes on within its ``retry_seconds``.
        What *lead* raises is raised here.
        """
        while True:
            await self._acquire()
            _log.info("lease.acquired", lease=self._name, identity=self._identity)
            try:
                if await self._lead(lead):
                    return
            finally:
                self.is_leader = False
                await self._release()
            _log.warning("lease.lost", lease=self._name, identity=self._identity)

    async def _lead(self, lead: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Run *lead* while the lease is renewed; return whether it ended by itself."""
        self.is_leader = True
        failure: Exception | None = None
        is_lost = False
        try:
            async with asyncio.TaskGroup() as group:
                renewal = group.create_task(self._renew(), name=f"renew-{self._name}")
                try:
                    await lead()
                except Exception as error:  # noqa: BLE001 - raised below, out of the group
                    failure = error
                renewal.cancel()
        except* _LeaseLostError:
            is_lost = True
        if failure is not None:
            raise failure
        return not is_lost

    async def _acquire(self) -> None:
        told = ""
        while True:
            if await self._try("acquire"):
                return
            if self._is_held_by_other() and self.holder != told:
                told = self.holder
                _log.info("lease.waiting", lease=self._name, held_by=told)
            await asyncio.sleep(jittered(self._retry_seconds, 0.2))

    async def _renew(self) -> None:
        """Renew for ever; raise when the lease is lost, which cancels the led work."""
        while True:
            try:
                async with asyncio.timeout_at(self._claimed_at + self._renew_seconds):
                    await asyncio.sleep(self._retry_seconds)
                    is_renewed = await self._try("renew")
            except TimeoutError as error:
                raise _LeaseLostError from error
            if not is_renewed and self._is_held_by_other():
                raise _LeaseLostError

    async def _try(self, purpose: str) -> bool:
        try:
            return await self._take()
        except (ConflictError, AlreadyExistsError):
            return False  # Another candidate was quicker; the next look shows who.
        except TenantryError as error:
            _log.warning("lease.unreachable", lease=self._name, purpose=purpose, error=str(error))
            return False

    async def _take(self) -> bool:
        """Take or renew the lease if it is free, expired or ours; return whether it is ours now."""
        if self._seen is not None and self._is_held_by_us(self._seen):
            try:
                await self._write(self._seen)
            except (ConflictError, NotFoundError):
                self._seen = None  # Somebody touched it: look first.
            else:
                return True
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFoundError:
            await self._write(None)
            return True
        self._see(lease)
        if self._is_held_by_other() and not self._is_expired(lease):
            return False
        await self._write(lease)
        return True

    async def _write(self, current: Lease | None) -> None:
        # From before the request: the others may have seen it long before its answer came.
        sent_at = asyncio.get_running_loop().time()
        claim = self._claim(current)
        if current is None:
            self._see(await self._client.create(LEASES, claim, self._namespace))
        else:
            self._see(await self._client.update(LEASES, claim))
        self._claimed_at = sent_at

    def _is_held_by_us(self, lease: Lease) -> bool:
        return lease.spec.holder_identity == self._identity

    def _see(self, lease: Lease) -> None:
        if self._seen is None or self._seen.spec != lease.spec:
            self._seen_at = asyncio.get_running_loop().time()
        self._seen = lease

    def _is_held_by_other(self) -> bool:
        holder = self._seen.spec.holder_identity if self._seen is not None else None
        return bool(holder) and holder != self._identity

    def _is_expired(self, lease: Lease) -> bool:
        # Its own length, not ours: that is what its holder goes by.
        length = lease.spec.lease_duration_seconds or self._lease_seconds
        return asyncio.get_running_loop().time() >= self._seen_at + length

    def _claim(self, current: Lease | None, *, holder: str | None = None) -> dict[str, Any]:
        """Return the Lease to write over *current*; *holder* "" releases it."""
        spec = current.spec if current is not None else LeaseSpec()
        now = rfc3339_micro(self._clock.now())
        is_ours = current is not None and self._is_held_by_us(current)
        metadata = {"name": self._name, "namespace": self._namespace}
        if current is not None:
            metadata["resourceVersion"] = current.metadata.resource_version
        return {
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity if holder is None else holder,
                "leaseDurationSeconds": max(1, round(self._lease_seconds)) if holder is None else 1,
                "acquireTime": spec.acquire_time if is_ours else now,
                "renewTime": now,
                "leaseTransitions": (spec.lease_transitions or 0) + (0 if is_ours or current is None else 1),
            },
        }

    async def _release(self) -> None:
        """Give the lease back if it is still ours; the server may be away, then it expires."""
        lease = self._seen
        if lease is None or not self._is_held_by_us(lease):
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                self._see(await self._client.update(LEASES, self._claim(lease, holder="")))
        except (TenantryError, TimeoutError) as error:
            _log.warning("lease.not_released", lease=self._name, error=str(error))

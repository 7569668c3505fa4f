"""What the admission workers have seen: a status may claim that a rule is in force only after that (spec 13.2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from tenantry.api.core import Lease

LABEL: Final = "app.kubernetes.io/component"
LABEL_VALUE: Final = "admission-acknowledgement"
TENANTS: Final = "tenantry.io/seen-tenants"
NAMESPACES: Final = "tenantry.io/seen-namespaces"
CONFIGURATION: Final = "tenantry.io/seen-configuration"
TENANT_OWNERS: Final = "tenantry.io/seen-tenantowners"


def is_live(lease: Lease, now: datetime) -> bool:
    """Return whether the worker that keeps *lease* is alive: it renewed in time."""
    renewed, seconds = lease.spec.renew_time, lease.spec.lease_duration_seconds
    if not renewed or not seconds:
        return False
    try:
        moment = datetime.fromisoformat(renewed)
    except ValueError:
        return False
    return moment.tzinfo is not None and now < moment + timedelta(seconds=seconds)


def acknowledged(leases: Iterable[Lease], now: datetime, resource: str, version: int) -> bool:
    """Return whether all live workers have seen *version* of *resource*.

    With no live worker that is so: nothing can let a request through unseen, since the
    API server refuses what it cannot ask about.

    Args:
        leases: Those of the admission workers.
        now: Aware.
        resource: One of the annotation keys of this module.
        version: A resourceVersion.
    """
    return all(_seen(lease, resource) >= version for lease in leases if is_live(lease, now))


def _seen(lease: Lease, resource: str) -> int:
    text = (lease.metadata.annotations or {}).get(resource, "")
    return int(text) if text.isascii() and text.isdigit() else 0

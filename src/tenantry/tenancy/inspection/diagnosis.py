"""All checks of ``tenantry doctor``, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tenantry.tenancy.inspection import installation, upkeep
from tenantry.tenancy.inspection.findings import Facts, Finding

Check = Callable[[Facts], Iterable[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    installation.server,
    installation.crds,
    installation.capsule,
    installation.workloads,
    installation.configuration,
    installation.operator_lease,
    installation.admission_workers,
    installation.armed,
    installation.registered,
    installation.certificate,
    installation.endpoints,
    installation.metrics,
    upkeep.rights,
    upkeep.roles,
    upkeep.tenants,
    upkeep.namespaces,
    upkeep.not_enforced,
    upkeep.unread,
)
"""What is looked at; each entry's docstring says what should be so."""


def diagnosis(facts: Facts) -> tuple[Finding, ...]:
    """Return what every check finds."""
    return tuple(finding for check in CHECKS for finding in check(facts))

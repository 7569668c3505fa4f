"""The status of ProxySettings and GlobalProxySettings (R-036)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tenantry.api.proxy import ClusterResource, GlobalProxySettings, ProxySetting, ProxySettingsStatus
from tenantry.api.selecting import problem
from tenantry.tenancy.desired.conditions import READY, SUCCEEDED, condition, merged

INVALID_SELECTOR: Final = "InvalidSelector"
_RECONCILED: Final = "reconciled"


def settings_status(stored: ProxySetting | GlobalProxySettings, *, now: str) -> ProxySettingsStatus:
    """Return the status of *stored*: Ready where everything in it is acted upon.

    Outside tenants a ProxySetting grants nothing, and is Ready.  A rule whose selector is
    invalid shows nothing; the others of the object hold.  *now* is RFC 3339.
    """
    generation = stored.metadata.generation
    wrong = next(selector_problems(stored), None)
    ready = condition(
        READY,
        holds=wrong is None,
        reason=SUCCEEDED if wrong is None else INVALID_SELECTOR,
        message=_RECONCILED if wrong is None else f"{wrong}; the rule shows nothing until that is corrected",
        generation=generation,
    )
    return ProxySettingsStatus(
        observed_generation=generation, conditions=merged(stored.status.conditions, [ready], now=now)
    )


def selector_problems(settings: ProxySetting | GlobalProxySettings) -> Iterator[str]:
    """Yield what is wrong with selectors, each after its path."""
    if isinstance(settings, ProxySetting):
        for index, subject in enumerate(settings.spec.subjects):
            yield from _problems(f"spec.subjects[{index}]", subject.cluster_resources)
    else:
        for index, rule in enumerate(settings.spec.rules):
            yield from _problems(f"spec.rules[{index}]", rule.cluster_resources)


def _problems(path: str, resources: Iterable[ClusterResource]) -> Iterator[str]:
    for index, resource in enumerate(resources):
        wrong = problem(resource.selector)
        if wrong is not None:
            yield f"{path}.clusterResources[{index}].selector.{wrong}"

"""The status of ProxySettings and GlobalProxySettings (R-036)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from tenantry.access.rule_kinds import RIGHTS_COMMAND, KindName
from tenantry.api.meta import Condition
from tenantry.api.proxy import ClusterResource, GlobalProxySettings, ProxySetting, ProxySettingsStatus
from tenantry.api.selecting import problem
from tenantry.tenancy.desired.conditions import READY, SUCCEEDED, condition, merged

READABLE: Final = "Readable"
ALLOWED: Final = "Allowed"
FORBIDDEN: Final = "Forbidden"
INVALID_SELECTOR: Final = "InvalidSelector"
_RECONCILED: Final = "reconciled"
_MOST_NAMED: Final = 20


def settings_status(
    stored: ProxySetting | GlobalProxySettings, *, now: str, readable: Condition | None = None
) -> ProxySettingsStatus:
    """Return the status of *stored*: Ready where everything in it is acted upon.

    Outside tenants a ProxySetting grants nothing, and is Ready.  A rule whose selector is
    invalid shows nothing; the others of the object hold.  *now* is RFC 3339.

    Without *readable*, where that can't be told for now, the condition stays as it is.
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
    beside = readable or readable_condition(stored)
    wanted = [ready] if beside is None else [ready, beside]
    return ProxySettingsStatus(
        observed_generation=generation, conditions=merged(stored.status.conditions, wanted, now=now)
    )


def readable_condition(stored: ProxySetting | GlobalProxySettings) -> Condition | None:
    """Return the condition as stored; None where there is none."""
    return next((each for each in stored.status.conditions if each.type == READABLE), None)


def readable(unreadable: Collection[KindName], *, generation: int) -> Condition:
    """Return the condition that says whether the gateway's account may read what the rules name."""
    return condition(
        READABLE,
        holds=not unreadable,
        reason=FORBIDDEN if unreadable else ALLOWED,
        message=_refused(unreadable) if unreadable else "the gateway may read what the rules name",
        generation=generation,
    )


def says_the_same(one: Condition | None, other: Condition) -> bool:
    """Return whether two conditions tell the same, whenever that began."""
    return one is not None and (one.status, one.reason, one.message, one.observed_generation) == (
        other.status,
        other.reason,
        other.message,
        other.observed_generation,
    )


def _refused(unreadable: Collection[KindName]) -> str:
    names = sorted(str(each) for each in unreadable)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (
        f"the gateway may not read {', '.join(names[:_MOST_NAMED])}{more}: users are told to try again until a "
        f"platform operator grants it, by `{RIGHTS_COMMAND}`"
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

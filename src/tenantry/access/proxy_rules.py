"""The cluster-wide rules of ProxySettings and GlobalProxySettings: which kinds, which objects (8.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tenantry.access.sight import NOTHING, Sight, by_selector, united
from tenantry.api.proxy import ClusterResource

Operation = Literal["list", "get"]
_OPERATIONS: Final = {"List": frozenset({"list", "get"}), "Get": frozenset({"get"})}
"""What each of the API's operations grants: whoever may list may read what the list shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRule:
    """One entry of ``clusterResources``, ready to be asked."""

    api_groups: tuple[str, ...]
    resources: frozenset[str]
    operations: frozenset[str]
    sight: Sight

    def covers(self, group: str, version: str, resource: str, operation: Operation) -> bool:
        """Return whether the rule speaks of this kind and operation."""
        return (
            operation in self.operations
            and ("*" in self.resources or resource in self.resources)
            and any(group_matches(entry, group, version) for entry in self.api_groups)
        )


def proxy_rule(entry: ClusterResource) -> ProxyRule:
    """Return *entry* ready to be asked; one whose selector is missing or invalid shows nothing."""
    selector = entry.selector
    return ProxyRule(
        api_groups=entry.api_groups,
        resources=frozenset(entry.resources),
        operations=frozenset[str]().union(*(_OPERATIONS.get(one, ()) for one in entry.operations)),
        sight=NOTHING if selector is None else by_selector(selector.match_labels, selector.match_expressions),
    )


def rules_sight(rules: Iterable[ProxyRule], kind: tuple[str, str, str], operation: Operation) -> Sight:
    """Return what *rules* show of a *kind*: group, version, plural."""
    group, version, resource = kind
    return united(rule.sight for rule in rules if rule.covers(group, version, resource, operation))


def group_matches(entry: str, group: str, version: str) -> bool:
    """Return whether an entry of ``apiGroups`` is about this group.

    With a ``/`` it is about group and version; ``*`` stands for any text, the empty one included.
    """
    subject = f"{group}/{version}" if "/" in entry else group
    if "*" not in entry:
        return entry == subject
    return _glob_matches(entry.split("*"), subject)


def _glob_matches(parts: list[str], text: str) -> bool:
    """Return whether *text* is the first part, the last part, and between them the others in order."""
    first, *middle, last = parts
    start, end = len(first), len(text) - len(last)
    if start > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in middle:
        # The earliest find leaves the most room for the rest.
        found = text.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True

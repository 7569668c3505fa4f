"""Which of the served kinds the rules of settings name, so that the gateway has to read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from tenantry.access.proxy_rules import proxy_rule
from tenantry.access.served import KindFacts
from tenantry.api.proxy import ClusterResource, GlobalProxySettings, ProxySetting

READING: Final = ("get", "list", "watch")
RIGHTS_COMMAND: Final = "tenantry gateway rights | kubectl apply -f -"


class KindName(NamedTuple):
    """A kind in whatever version, as RBAC names it."""

    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def cluster_resources(settings: ProxySetting | GlobalProxySettings) -> Iterator[ClusterResource]:
    """Yield the rules of *settings*, in order."""
    of_whom = settings.spec.subjects if isinstance(settings, ProxySetting) else settings.spec.rules
    for each in of_whom:
        yield from each.cluster_resources


def named_kinds(
    settings: ProxySetting | GlobalProxySettings, served: Iterable[KindFacts]
) -> Mapping[KindName, frozenset[str]]:
    """Return the cluster-scoped kinds that *settings* name, each with the verbs to read it that it has.

    What users are shown decides here, too: a pattern stands for all that is served and fits, and a rule
    that shows nothing names nothing.  Namespaced kinds are read as whoever asks.
    """
    rules = [rule for each in cluster_resources(settings) if not (rule := proxy_rule(each)).sight.is_nothing]
    found: dict[KindName, frozenset[str]] = {}
    if not rules:
        return found
    for kind in served:
        verbs = kind.verbs.intersection(READING)
        if kind.is_namespaced or not verbs & {"list", "get"}:
            continue
        asked = (kind.group, kind.version, kind.resource)
        if any(rule.covers(*asked, "list") or rule.covers(*asked, "get") for rule in rules):
            name = KindName(kind.group, kind.resource)
            found[name] = found.get(name, frozenset()) | verbs
    return found

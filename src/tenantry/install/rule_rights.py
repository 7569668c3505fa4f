"""The ClusterRole that lets the gateway read what the cluster's own settings name beyond what is installed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tenantry.access.rule_kinds import KindName, named_kinds
from tenantry.access.served import KindFacts
from tenantry.api.proxy import GlobalProxySettings, ProxySetting
from tenantry.install.gateway_rights import AGGREGATE_TO_READER, CLUSTER_RULES, JSON, RBAC_API

RULES_ROLE: Final = "tenantry:gateway:rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One kind that the gateway is to read, and why."""

    kind: KindName
    verbs: tuple[str, ...]
    settings: tuple[str, ...]
    """The objects whose rules name it, as ``GlobalProxySettings/name`` or ``ProxySetting namespace/name``."""


def needed_grants(
    settings: Iterable[ProxySetting | GlobalProxySettings], served: Iterable[KindFacts]
) -> tuple[Grant, ...]:
    """Return what *settings* need beyond the manifests' own rights, by group and plural.

    What an earlier call led to counts as needed still: the role made of the result replaces the one before.
    """
    kinds = tuple(served)
    verbs: dict[KindName, frozenset[str]] = {}
    whose: dict[KindName, set[str]] = defaultdict(set)
    for each in settings:
        for kind, asked in named_kinds(each, kinds).items():
            verbs[kind] = verbs.get(kind, frozenset()) | asked
            whose[kind].add(_title(each))
    return tuple(
        Grant(kind=kind, verbs=tuple(sorted(verbs[kind])), settings=tuple(sorted(whose[kind])))
        for kind in sorted(verbs)
        if not verbs[kind] <= _granted().get(kind, frozenset())
    )


def rules_role(grants: Iterable[Grant]) -> JSON:
    """Return the ClusterRole of *grants*, which Kubernetes adds to the gateway's rights for its label."""
    by_rule: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for each in grants:
        by_rule[each.kind.group, each.verbs].append(each.kind.resource)
    return {
        "apiVersion": f"{RBAC_API}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": RULES_ROLE, "labels": {AGGREGATE_TO_READER: "true"}},
        "rules": [
            {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
            for (group, verbs), resources in by_rule.items()
        ],
    }


def _granted() -> Mapping[KindName, frozenset[str]]:
    found: dict[KindName, frozenset[str]] = {}
    for rule in CLUSTER_RULES:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                name = KindName(group, resource)
                found[name] = found.get(name, frozenset()) | frozenset(rule["verbs"])
    return found


def _title(settings: ProxySetting | GlobalProxySettings) -> str:
    name, namespace = settings.metadata.name, settings.metadata.namespace
    return f"ProxySetting {namespace}/{name}" if isinstance(settings, ProxySetting) else f"GlobalProxySettings/{name}"

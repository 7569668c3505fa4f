"""What filtered principals are told about their own rights: neither more nor less than the gateway does (R-037)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Final

from tenantry.access.reviews import ResourceAttributes
from tenantry.access.served import ALWAYS_SERVED, KindFacts, is_served, operation_of
from tenantry.access.sight import Sight
from tenantry.access.visibility import PrincipalView, WriteOperation
from tenantry.access.writes import WRITABLE_KINDS, write_operation
from tenantry.foundation.codec import Model

MAX_RULE_NAMES: Final = 1000
"""Of one rule: beyond that a list of names helps nobody."""
_READS: Final = frozenset({"get", "list", "watch"})


class ResourceRule(Model):
    """authorization.k8s.io/v1 ResourceRule."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None


class Ruling(Enum):
    """Who answers whether something is allowed."""

    ALLOWED = "allowed"
    """The gateway does it."""
    ASK = "ask"
    """It goes upstream, so the cluster's RBAC says."""
    ASK_NAMESPACES = "ask namespaces"
    """Allowed cluster-wide, or in a namespace that a list over all namespaces covers."""


def needs_labels(attributes: ResourceAttributes, facts: KindFacts | None) -> bool:
    """Return whether the answer hangs on the labels of the named object."""
    return (
        facts is not None
        and not facts.is_namespaced
        and bool(attributes.name)
        and not attributes.subresource
        and (attributes.verb == "get" or _is_write(attributes, facts))
    )


def ruling(
    view: PrincipalView,
    attributes: ResourceAttributes,
    facts: KindFacts | None,
    labels: Mapping[str, str] | None,
) -> Ruling:
    """Return who answers a SelfSubjectAccessReview.

    Args:
        view: What the principal sees.
        attributes: What is asked.
        facts: The kind it is about; None for none that exists, wildcards included.
        labels: Those of the named object, where :func:`needs_labels`; None if it does not exist.
    """
    if facts is None or attributes.subresource:
        return Ruling.ASK
    if facts.is_namespaced:
        is_everywhere = not attributes.namespace and attributes.verb in {"list", "watch"}
        return Ruling.ASK_NAMESPACES if is_everywhere else Ruling.ASK
    if attributes.verb in _READS:
        return Ruling.ALLOWED if _reads(view, attributes, facts, labels) else Ruling.ASK
    # Never any other mutating verb: those few go on with a group of the gateway's, for this very object.
    if _is_write(attributes, facts) and attributes.name and labels is not None:
        operation = write_operation(attributes.verb)
        sight = view.sight(facts.group, facts.version, facts.resource, "get")
        if operation and sight.shows(attributes.name, labels):
            is_granted = view.writes(facts.resource, operation).shows(attributes.name, labels)
            return Ruling.ALLOWED if is_granted else Ruling.ASK
    return Ruling.ASK


def _reads(
    view: PrincipalView, attributes: ResourceAttributes, facts: KindFacts, labels: Mapping[str, str] | None
) -> bool:
    if attributes.verb != "get":
        return is_served(view, facts, attributes.verb)
    sight = view.sight(facts.group, facts.version, facts.resource, "get")
    if attributes.name:
        return labels is not None and sight.shows(attributes.name, labels)
    return sight.everything


def _is_write(attributes: ResourceAttributes, facts: KindFacts) -> bool:
    return write_operation(attributes.verb) is not None and (facts.group, facts.resource) in WRITABLE_KINDS


def rules_gained(view: PrincipalView, kinds: Iterable[KindFacts]) -> tuple[ResourceRule, ...]:
    """Return what a SelfSubjectRulesReview gains: the reads, and the few writes, that the gateway makes possible.

    What depends on labels can not be told as a rule, so objects that are seen by labels
    alone are only in the lists.

    Args:
        view: What the principal sees.
        kinds: Those that are served, in each version.
    """
    rules: dict[ResourceRule, None] = {}
    for facts in kinds:
        if not facts.is_namespaced:
            rules |= dict.fromkeys(_rules_of(view, facts))
    return tuple(rules)


def _rules_of(view: PrincipalView, facts: KindFacts) -> Iterator[ResourceRule]:
    group, version, resource = facts.group, facts.version, facts.resource
    listed, read = (view.sight(group, version, resource, operation_of(verb)) for verb in ("list", "get"))
    if (group, resource) in ALWAYS_SERVED or not listed.is_nothing:
        verbs = tuple(verb for verb in ("list", "watch") if verb in facts.verbs)
        yield ResourceRule(verbs=verbs, api_groups=(group,), resources=(resource,))
    yield from _named_rule(("get",), facts, read)
    if (group, resource) in WRITABLE_KINDS:
        writes: tuple[tuple[WriteOperation, tuple[str, ...]], ...] = (
            ("update", ("update", "patch")),
            ("delete", ("delete",)),
        )
        for operation, methods in writes:
            yield from _named_rule(methods, facts, view.writes(resource, operation))


def _named_rule(verbs: tuple[str, ...], facts: KindFacts, sight: Sight) -> Iterator[ResourceRule]:
    names = tuple(sorted(sight.names)[:MAX_RULE_NAMES]) or None
    if sight.everything or names:
        yield ResourceRule(verbs=verbs, api_groups=(facts.group,), resources=(facts.resource,), resource_names=names)

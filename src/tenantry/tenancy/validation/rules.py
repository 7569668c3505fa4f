"""What rule blocks may say, in Tenants and in RuleStatuses (TN-6, CN-3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import (
    INGRESS_TYPES,
    LIMIT_POLICIES,
    REQUEST_POLICIES,
    SERVICE_TYPES,
    WORKLOAD_TARGETS,
    Audience,
    Enforce,
    ExpressionMatch,
    IngressRules,
    LimitPolicy,
    MetadataPolicy,
    MetadataRule,
    NamespaceRule,
    RequestPolicy,
    RuleQuota,
    ServiceRules,
    TenantRule,
    WorkloadRules,
)
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import to_plain
from tenantry.foundation.expressions import ExpressionError, expression_problem
from tenantry.foundation.names import (
    annotation_key_problem,
    dns_label_problem,
    is_dns_subdomain,
    label_key_problem,
    label_value_problem,
)
from tenantry.foundation.quantities import ZERO, Quantity, QuantityError, parse_quantity
from tenantry.foundation.templates import TemplateError, is_template, template_paths, value_at
from tenantry.tenancy.rules.audience import AUDIENCE_KINDS, CustomAudience
from tenantry.tenancy.rules.kinds import NAMESPACE, Selector, glob_selector, key_selector
from tenantry.tenancy.rules.matching import Action
from tenantry.tenancy.rules.projection import template_context
from tenantry.tenancy.rules.qos import QOS_CLASSES
from tenantry.tenancy.rules.registries import PULL_POLICIES
from tenantry.tenancy.rules.resource_plan import Policy
from tenantry.tenancy.rules.services import network

_SERVICE_ACCOUNT: Final = "system:serviceaccount"
_CORE: Final = "v1"
_TEMPLATE_INPUT: Final[Mapping[str, Collection[str]]] = {
    "tenant": ("name", "uid", "labels", "annotations", "metadata", "spec", "data"),
    "namespace": ("name", "uid", "labels", "annotations", "metadata"),
}
"""What ``projection.template_context`` offers, on two levels: deeper, it depends on the objects."""


class KindScope(StrEnum):
    """Where objects of a kind live."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


KnownKinds = Callable[[str, str], KindScope | None]
"""Looks up a kind by an ``apiGroups`` entry and its name; None where the API server serves no such kind."""


def rule_problems(
    rules: Sequence[TenantRule | NamespaceRule],
    *,
    known_kinds: KnownKinds | None = None,
    path: str = "spec.rules",
    tenant: Tenant | None = None,
) -> list[str]:
    """Return what is wrong with *rules*, a sentence each, naming field, value and what is allowed.

    What templates stand for shows only when they are rendered, in a namespace.

    Args:
        rules: In order.
        known_kinds: None where the kinds of the cluster are not known: then any kind will do.
        path: Where the rules stand.
        tenant: Whose rules they are, so that a template can be asked whether the tenant has what it wants.
    """
    problems: list[str] = []
    quotas: set[str] = set()
    for index, rule in enumerate(rules):
        here = f"{path}[{index}]"
        problems += _template_problems(here, {"audience": rule.audience, "enforce": rule.enforce}, tenant)
        problems += _audience_problems(f"{here}.audience", rule.audience)
        problems += _quota_problems(f"{here}.quota", rule.quota, quotas)
        if rule.enforce is not None:
            problems += _enforce_problems(f"{here}.enforce", rule.enforce, known_kinds)
    return problems


def _unknown(path: str, value: str, allowed: Collection[str]) -> Iterator[str]:
    """Yield a problem where *value* is not one of *allowed*."""
    if value not in allowed and not is_template(value):
        yield f"{path}: {value!r} is invalid: there are {', '.join(allowed)}"


def _template_problems(path: str, value: Any, tenant: Tenant | None) -> Iterator[str]:
    plain = to_plain(value)
    if isinstance(plain, str):
        yield from _text_problems(path, plain, tenant)
    elif isinstance(plain, dict):
        for key, item in plain.items():
            yield from _text_problems(path, key, tenant)
            yield from _template_problems(f"{path}.{key}", item, tenant)
    elif isinstance(plain, list):
        for index, item in enumerate(plain):
            yield from _template_problems(f"{path}[{index}]", item, tenant)


def _text_problems(path: str, text: str, tenant: Tenant | None) -> Iterator[str]:
    try:
        paths = template_paths(text) if is_template(text) else ()
    except TemplateError as error:
        yield f"{path}: {text!r} is no valid template: {error}"
        return
    for steps in paths:
        known = _TEMPLATE_INPUT.get(steps[0])
        if known is None:
            yield f"{path}: {text!r} asks for unknown {steps[0]!r}: there are {', '.join(_TEMPLATE_INPUT)}"
        elif len(steps) > 1 and steps[1] not in known:
            yield f"{path}: {text!r} asks for unknown {'.'.join(steps[:2])!r}: {steps[0]} has {', '.join(known)}"
        elif tenant is not None and steps[0] == "tenant":
            yield from _lookup_problems(path, text, steps, tenant)


def _lookup_problems(path: str, text: str, steps: tuple[str, ...], tenant: Tenant) -> Iterator[str]:
    try:
        value_at(steps, template_context(tenant, ObjectMeta()))
    except TemplateError as error:
        yield f"{path}: {text!r} can't be rendered: {error}"


def _audience_problems(path: str, audience: Sequence[Audience]) -> Iterator[str]:
    for index, entry in enumerate(audience):
        here = f"{path}[{index}]"
        yield from _unknown(f"{here}.kind", entry.kind, AUDIENCE_KINDS)
        if not entry.name:
            yield f"{here}.name: '' is invalid: it must name a subject"
        elif entry.kind == "Custom":
            yield from _unknown(f"{here}.name", entry.name, [str(name) for name in CustomAudience])
        elif entry.kind == "ServiceAccount" and not is_template(entry.name) and not _is_account(entry.name):
            yield f"{here}.name: {entry.name!r} is invalid: write {_SERVICE_ACCOUNT}:<namespace>:<name>"


def _is_account(name: str) -> bool:
    prefix, _, rest = name.rpartition(f"{_SERVICE_ACCOUNT}:")
    namespace, _, account = rest.partition(":")
    return not prefix and dns_label_problem(namespace) is None and is_dns_subdomain(account)


def _quota_problems(path: str, quotas: Sequence[RuleQuota], seen: set[str]) -> Iterator[str]:
    for index, quota in enumerate(quotas):
        here = f"{path}[{index}]"
        problem = dns_label_problem(quota.name)
        if problem:
            yield f"{here}.name: {quota.name!r} is invalid: it {problem}"
        if quota.name in seen:
            yield f"{here}.name: {quota.name!r} is taken: names of quotas must be unique in the tenant"
        seen.add(quota.name)
        for resource, amount in (quota.hard or {}).items():
            yield from _amount_problems(f"{here}.hard[{resource}]", amount)


def _amount_problems(path: str, amount: str | int, *, least: Quantity = ZERO) -> Iterator[str]:
    if is_template(str(amount)):
        return
    try:
        if parse_quantity(amount) < least:
            yield f"{path}: {str(amount)!r} is invalid: it must not be less than {least}"
    except QuantityError as error:
        yield f"{path}: {error}"


def _enforce_problems(path: str, enforce: Enforce, known_kinds: KnownKinds | None) -> Iterator[str]:
    yield from _unknown(f"{path}.action", enforce.action or Action.DENY, [str(action) for action in Action])
    if enforce.workloads is not None:
        yield from _workload_problems(f"{path}.workloads", enforce.workloads)
    if enforce.services is not None:
        yield from _service_problems(f"{path}.services", enforce.services)
    if enforce.ingress is not None:
        yield from _ingress_problems(f"{path}.ingress", enforce.ingress)
    for index, rule in enumerate(enforce.metadata):
        yield from _metadata_problems(f"{path}.metadata[{index}]", rule, known_kinds)


def _match_problems(path: str, matches: Sequence[ExpressionMatch]) -> Iterator[str]:
    for index, match in enumerate(matches):
        here = f"{path}[{index}]"
        if not (match.exact or match.exp):
            yield f"{here}: one of exact and exp is required, else it matches nothing"
        problem = None if is_template(match.exp) else expression_problem(match.exp)
        if problem:
            yield f"{here}.exp: unable to compile regex {match.exp!r}: {problem}"


def _workload_problems(path: str, workloads: WorkloadRules) -> Iterator[str]:
    for index, target in enumerate(workloads.targets):
        yield from _unknown(f"{path}.targets[{index}]", target, WORKLOAD_TARGETS)
    yield from _match_problems(f"{path}.registries", workloads.registries)
    for index, registry in enumerate(workloads.registries):
        for policy in registry.policy:
            yield from _unknown(f"{path}.registries[{index}].policy", policy, PULL_POLICIES)
    for index, name in enumerate(workloads.qos_classes):
        yield from _unknown(f"{path}.qosClasses[{index}]", name, QOS_CLASSES)
    yield from _match_problems(f"{path}.schedulers", workloads.schedulers)
    if workloads.resources is not None:
        for resource, request in (workloads.resources.requests or {}).items():
            here = f"{path}.resources.requests[{resource}]"
            yield from _resource_problems(here, request, REQUEST_POLICIES)
        for resource, limit in (workloads.resources.limits or {}).items():
            yield from _resource_problems(f"{path}.resources.limits[{resource}]", limit, LIMIT_POLICIES)


def _resource_problems(path: str, entry: RequestPolicy | LimitPolicy, policies: Collection[str]) -> Iterator[str]:
    yield from _unknown(f"{path}.policy", entry.policy, policies)
    takes_value = entry.policy in {Policy.DEFAULT, Policy.RATIO}
    if takes_value and entry.value is None:
        yield f"{path}.value: policy {entry.policy} needs a value"
    elif entry.value is not None and not takes_value:
        yield f"{path}.value: {str(entry.value)!r} is invalid: policy {entry.policy} takes no value"
    elif entry.value is not None:
        # Kubernetes refuses a limit that is less than its request.
        least = ZERO if entry.policy == Policy.DEFAULT else parse_quantity(1)
        yield from _amount_problems(f"{path}.value", entry.value, least=least)


def _service_problems(path: str, services: ServiceRules) -> Iterator[str]:
    for index, kind in enumerate(services.types):
        yield from _unknown(f"{path}.types[{index}]", kind, SERVICE_TYPES)
    for index, cidr in enumerate(services.load_balancers.cidrs if services.load_balancers else ()):
        yield from _cidr_problems(f"{path}.loadBalancers.cidrs[{index}]", cidr)
    if services.external_names is not None:
        yield from _match_problems(f"{path}.externalNames.hostnames", services.external_names.hostnames)
    for index, ports in enumerate(services.node_ports.ports if services.node_ports else ()):
        if not 1 <= ports.from_ <= ports.to <= 65535:
            yield (
                f"{path}.nodePorts.ports[{index}]: {ports.from_}-{ports.to} is invalid: "
                "from must not be greater than to, and both lie in 1-65535"
            )


def _cidr_problems(path: str, text: str) -> Iterator[str]:
    if is_template(text):
        return
    try:
        network(text)
    except ValueError as error:
        yield f"{path}: {text!r} is no valid CIDR: {error}"


def _ingress_problems(path: str, ingress: IngressRules) -> Iterator[str]:
    if not ingress.types:
        yield f"{path}.types: at least one is required: there are {', '.join(INGRESS_TYPES)}"
    if not ingress.hostnames:
        yield f"{path}.hostnames: at least one is required"
    for index, kind in enumerate(ingress.types):
        yield from _unknown(f"{path}.types[{index}]", kind, INGRESS_TYPES)
    yield from _match_problems(f"{path}.hostnames", ingress.hostnames)


def _metadata_problems(path: str, rule: MetadataRule, known_kinds: KnownKinds | None) -> Iterator[str]:
    if not rule.kinds:
        yield f"{path}.kinds: at least one is required"
    for index, kind in enumerate(rule.kinds):
        yield from _kind_problems(f"{path}.kinds[{index}]", kind, rule.api_groups or (_CORE,), known_kinds)
    for key, policy in (rule.labels or {}).items():
        here = f"{path}.labels[{key}]"
        yield from _policy_problems(here, key, policy, rule.kinds)
        for name, value in (("managed", policy.managed), ("default", policy.default)):
            problem = None if value is None or is_template(value) else label_value_problem(value)
            if problem:
                yield f"{here}.{name}: {value!r} is no valid label: it {problem}"
        yield from _key_problems(here, key, label_key_problem)
    for key, policy in (rule.annotations or {}).items():
        here = f"{path}.annotations[{key}]"
        yield from _policy_problems(here, key, policy, rule.kinds)
        yield from _key_problems(here, key, annotation_key_problem)


def _kind_problems(path: str, kind: str, groups: Sequence[str], known_kinds: KnownKinds | None) -> Iterator[str]:
    if not kind:
        yield f"{path}: '' is invalid: it must name a kind, or a glob of kinds"
        return
    if known_kinds is None or is_template(kind) or not glob_selector(kind).is_concrete:
        return
    scopes = {known_kinds(group, kind) for group in groups if not is_template(group)}
    if scopes == {None}:
        yield f"{path}: {kind!r} is unknown in {', '.join(groups)}: set apiGroups to where the API server has it"
    elif KindScope.NAMESPACED not in scopes and scopes and kind != NAMESPACE:
        yield f"{path}: {kind!r} is invalid: it must be a namespaced kind, or {NAMESPACE}"


def _selector(key: str) -> Selector | None:
    """Return what *key* selects, or None where it is a template or does not compile."""
    try:
        return None if is_template(key) else key_selector(key)
    except ExpressionError:
        return None


def _key_problems(path: str, key: str, problem_of: Callable[[str], str | None]) -> Iterator[str]:
    selector = _selector(key)
    if selector is None:
        if not is_template(key):
            yield f"{path}: unable to compile regex {key!r}: {expression_problem(key)}"
    elif selector.is_concrete and (problem := problem_of(key)):
        yield f"{path}: {key!r} is no valid key: {problem}"


def _policy_problems(path: str, key: str, policy: MetadataPolicy, kinds: Sequence[str]) -> Iterator[str]:
    yield from _match_problems(f"{path}.values", policy.values)
    if not policy.managed:
        return
    selector = _selector(key)
    if selector is not None and not selector.is_concrete:
        yield f"{path}.managed: the key must be concrete, {key!r} is a pattern"
    for kind in kinds:
        if not is_template(kind) and not glob_selector(kind).is_concrete:
            yield f"{path}.managed: kinds must be concrete, {kind!r} is a pattern"

"""Our own webhook entries, used where the CapsuleConfiguration lists none (spec 13.4).

No request meets two of the mutating nor two of the validating ones.  What an entry selects
is decided by resource, by the namespace's labels and by the object's labels; each of these
is cut into parts that do not overlap:

    validating                     in a tenant, not cordoned    in a tenant, cordoned    elsewhere
    Namespaces                     namespaces                   namespaces               namespaces
    tenants, owners, RuleStatus    kinds                        kinds                    kinds
    managed objects                managed                      managed                  managed
    new Pods, ... (OBJECTS)        objects                      cordoned                 -
    updates of these               changes                      cordoned                 -
    the rest                       others, unless idle          cordoned                 -

    mutating                       tenant with metadata rules   idle tenant
    new Pods, ... (DEFAULTED)      objects                      objects
    updates of these               changes                      changes
    the rest                       others (Fail)                labels (Ignore)

An *idle* tenant has no metadata rules for kinds other than Namespace (:func:`is_idle`).

To evaluate the match conditions of an entry, the API server makes the object generic first,
anew for each entry that its rules and selectors let through, and twice where something was
changed.  For a Pod that costs it 0.2 ms a time, a fifth of a call.  So what can be said by rules
and selectors is said by these, and entries for new objects have no conditions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from tenantry.api import labels
from tenantry.api.configuration import (
    CapsuleConfigurationSpec,
    MatchCondition,
    MutatingWebhook,
    ValidatingWebhook,
    WebhookRule,
)
from tenantry.api.meta import CAPSULE_GROUP, LabelSelector, LabelSelectorRequirement
from tenantry.api.tenant import Tenant
from tenantry.tenancy import webhook_conditions as cel

MUTATING_PATH: Final = "/admission/mutating"
VALIDATING_PATH: Final = "/admission/validating"
CORDONED_PATH: Final = "/admission/validating/cordoned"
"""As VALIDATING_PATH, for requests of which the API server knows that their namespace is cordoned."""
TIMEOUT_SECONDS: Final = 10
SUFFIX: Final = "tenantry.io"

GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
DEFAULTED: Final = (
    ("", "pods"),
    ("", "persistentvolumeclaims"),
    ("networking.k8s.io", "ingresses"),
    ("extensions", "ingresses"),
    (GATEWAY_GROUP, "gateways"),
)
"""Kinds that get more than labels: pairs of group and plural."""
OBJECTS: Final = (
    *DEFAULTED,
    ("", "services"),
    ("", "serviceaccounts"),
    (GATEWAY_GROUP, "listenersets"),
    (GATEWAY_GROUP, "httproutes"),
    (GATEWAY_GROUP, "tlsroutes"),
    (GATEWAY_GROUP, "grpcroutes"),
    ("gateway.networking.x-k8s.io", "xlistenersets"),
    ("route.openshift.io", "routes"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourceclaimtemplates"),
)
"""Kinds that have checks of their own."""
EVENTS: Final = (("", "events"), ("events.k8s.io", "events"))
RULE_STATUSES: Final = ((CAPSULE_GROUP, "rulestatuses"),)
_SPECS_OF_THE_REST: Final = ("services",)
"""Kinds that get labels only, but whose new spec must be seen before the API server fills it in."""

_WRITES: Final = ("CREATE", "UPDATE")
_ALL: Final = ("CREATE", "UPDATE", "DELETE")
_IN_TENANT: Final = LabelSelectorRequirement(key=labels.TENANT, operator="Exists")
_NOT_MANAGED: Final = LabelSelector(
    match_expressions=(
        LabelSelectorRequirement(key=labels.MANAGED_BY, operator="NotIn", values=(labels.MANAGED_BY_CONTROLLER,)),
    )
)
"""Selects by the old or the new object: an UPDATE that takes the label on or off is still selected."""
_NOT_CORDONED: Final = LabelSelectorRequirement(key=labels.CORDONED, operator="NotIn", values=("true",))


def is_idle(tenant: Tenant) -> bool:
    """Return whether *tenant* has no metadata rule for any kind but Namespace.

    Writes in its namespaces then need labels only, and those of kinds without checks of their
    own need no validation.  A tenant leaves the list of the idle before its rules count.
    """
    return not any(
        kind != "Namespace"
        for block in tenant.spec.rules
        if block.enforce is not None
        for rule in block.enforce.metadata
        for kind in rule.kinds
    )


def validating_webhooks(
    configuration: CapsuleConfigurationSpec, *, own_accounts: Collection[str], idle_tenants: Sequence[str]
) -> tuple[ValidatingWebhook, ...]:
    """Return the validating entries."""
    own = cel.not_by_installation(own_accounts)
    finishing = cel.not_merely_finishing()
    in_tenant = _namespaces(_IN_TENANT, _NOT_CORDONED)
    entries = [
        _validating(
            "namespaces",
            (_rule("", "namespaces", "namespaces/status", "namespaces/finalize", operations=_ALL, scope="Cluster"),),
            conditions=(
                own,
                cel.not_by_system(),
                cel.not_by_superusers(configuration.administrators, but_node_selector=True),
            ),
        ),
        _validating(
            "kinds",
            (
                _rule(CAPSULE_GROUP, "tenants", operations=_ALL, scope="Cluster"),
                _rule(CAPSULE_GROUP, "tenantowners", operations=_WRITES, scope="Cluster"),
                _rule(CAPSULE_GROUP, "rulestatuses", operations=_ALL, scope="Namespaced"),
            ),
            conditions=(own,),
        ),
        _validating(
            "configurations",
            (_rule(CAPSULE_GROUP, "capsuleconfigurations", operations=_WRITES, scope="Cluster"),),
            conditions=(own,),
            # A mistake here must stay repairable while nothing else works.
            failure_policy="Ignore",
        ),
        _validating(
            "objects",
            _rules_of(OBJECTS, operation="CREATE"),
            namespaces=in_tenant,
            objects=_NOT_MANAGED,
        ),
        _validating(
            "changes",
            (
                *_rules_of(OBJECTS, operation="UPDATE"),
                _rule("", "pods/ephemeralcontainers", "pods/resize", operations=_WRITES),
            ),
            namespaces=in_tenant,
            conditions=(own, cel.not_managed(), finishing),
        ),
        _validating(
            "others",
            (_rule("*", "*", operations=_WRITES),),
            namespaces=_namespaces(_IN_TENANT, _NOT_CORDONED, *_not_idle(idle_tenants)),
            objects=_NOT_MANAGED,
            conditions=(
                cel.resources_other_than((*OBJECTS, *EVENTS, *RULE_STATUSES)),
                own,
                cel.not_managed(),
                cel.metadata_changes(),
            ),
        ),
        _validating(
            "cordoned",
            (_rule("*", "*/*", operations=_ALL),),
            path=CORDONED_PATH,
            namespaces=LabelSelector(match_labels={labels.CORDONED: "true"}, match_expressions=(_IN_TENANT,)),
            conditions=(
                cel.resources_other_than((*EVENTS, *RULE_STATUSES)),
                own,
                cel.not_system_subresources(),
                cel.only_system_may_delete(),
                cel.not_managed(),
                finishing,
            ),
        ),
        _validating(
            "managed",
            (_rule("*", "*", operations=_ALL),),
            objects=LabelSelector(match_labels={labels.MANAGED_BY: labels.MANAGED_BY_CONTROLLER}),
            conditions=(
                cel.resources_other_than((*EVENTS, *RULE_STATUSES)),
                own,
                cel.only_system_may_delete(),
                finishing,
            ),
        ),
    ]
    return (*entries, *_nodes(configuration))


def mutating_webhooks(
    configuration: CapsuleConfigurationSpec, *, own_accounts: Collection[str], idle_tenants: Sequence[str]
) -> tuple[MutatingWebhook, ...]:
    """Return the mutating entries."""
    own = cel.not_by_installation(own_accounts)
    of_the_rest = (
        cel.resources_other_than((*DEFAULTED, *EVENTS)),
        own,
        cel.something_to_add(specs_of=_SPECS_OF_THE_REST),
    )
    entries = [
        _mutating(
            "namespaces",
            (_rule("", "namespaces", operations=_WRITES, scope="Cluster"),),
            conditions=(
                cel.not_by_installation_but_into_tenants(own_accounts),
                cel.not_by_system(),
                cel.not_by_superusers(configuration.administrators, but_node_selector=False),
            ),
        ),
        _mutating(
            "tenants",
            (_rule(CAPSULE_GROUP, "tenants", operations=_WRITES, scope="Cluster"),),
            conditions=(own,),
        ),
        _mutating(
            "objects",
            _rules_of(DEFAULTED, operation="CREATE"),
            namespaces=_namespaces(_IN_TENANT),
        ),
        _mutating(
            "changes",
            _rules_of(DEFAULTED, operation="UPDATE"),
            namespaces=_namespaces(_IN_TENANT),
            conditions=(
                own,
                cel.something_to_add(specs_of={plural for _, plural in DEFAULTED} - {"pods"}),
            ),
        ),
        _mutating(
            "others",
            (_rule("*", "*", operations=_WRITES),),
            namespaces=_namespaces(_IN_TENANT, *_not_idle(idle_tenants)),
            objects=_NOT_MANAGED,
            conditions=of_the_rest,
        ),
    ]
    return (*entries, *_labels_only(idle_tenants, of_the_rest))


def _labels_only(idle_tenants: Sequence[str], conditions: tuple[MatchCondition, ...]) -> list[MutatingWebhook]:
    """Return the entry for tenants whose objects get labels and nothing else: no reason to refuse a write."""
    if not idle_tenants:
        return []
    idle = LabelSelectorRequirement(key=labels.TENANT, operator="In", values=tuple(sorted(idle_tenants)))
    return [
        _mutating(
            "labels",
            (_rule("*", "*", operations=_WRITES),),
            namespaces=_namespaces(idle),
            objects=_NOT_MANAGED,
            conditions=conditions,
            failure_policy="Ignore",
        )
    ]


def _nodes(configuration: CapsuleConfigurationSpec) -> list[ValidatingWebhook]:
    """Return the entry for nodes (V-9), where the platform forbids any key there."""
    metadata = configuration.node_metadata
    lists = () if metadata is None else (metadata.forbidden_labels, metadata.forbidden_annotations)
    if not any(one is not None and (one.denied or one.denied_regex) for one in lists):
        return []
    return [
        _validating(
            "nodes",
            (_rule("", "nodes", operations=("UPDATE",), scope="Cluster"),),
            conditions=(cel.not_by_system(), cel.not_by_superusers((), but_node_selector=False)),
        )
    ]


def _not_idle(idle_tenants: Sequence[str]) -> tuple[LabelSelectorRequirement, ...]:
    # An unknown tenant is policed: a list of those to skip, not of those to judge.
    if not idle_tenants:
        return ()
    return (LabelSelectorRequirement(key=labels.TENANT, operator="NotIn", values=tuple(sorted(idle_tenants))),)


def _namespaces(*requirements: LabelSelectorRequirement) -> LabelSelector:
    return LabelSelector(match_expressions=requirements)


def _rule(group: str, *resources: str, operations: tuple[str, ...], scope: str = "Namespaced") -> WebhookRule:
    return WebhookRule(
        api_groups=(group,), api_versions=("*",), operations=operations, resources=resources, scope=scope
    )


def _rules_of(resources: Iterable[tuple[str, str]], *, operation: str) -> tuple[WebhookRule, ...]:
    by_group: dict[str, list[str]] = {}
    for group, plural in resources:
        by_group.setdefault(group, []).append(plural)
    return tuple(_rule(group, *plurals, operations=(operation,)) for group, plurals in by_group.items())


def _validating(  # the parts of an entry
    name: str,
    rules: tuple[WebhookRule, ...],
    *,
    conditions: tuple[MatchCondition, ...] = (),
    path: str = VALIDATING_PATH,
    namespaces: LabelSelector | None = None,
    objects: LabelSelector | None = None,
    failure_policy: str = "Fail",
) -> ValidatingWebhook:
    return ValidatingWebhook(
        name=f"{name}.validating.{SUFFIX}",
        path=path,
        rules=rules,
        failure_policy=failure_policy,
        # Each rule takes all versions, so nothing slips by in another one and nothing is converted.
        match_policy="Exact",
        namespace_selector=namespaces,
        object_selector=objects,
        match_conditions=conditions,
        # Events, and reservations of namespaces and hosts.
        side_effects="NoneOnDryRun",
        timeout_seconds=TIMEOUT_SECONDS,
        admission_review_versions=("v1",),
    )


def _mutating(
    name: str,
    rules: tuple[WebhookRule, ...],
    *,
    conditions: tuple[MatchCondition, ...] = (),
    namespaces: LabelSelector | None = None,
    objects: LabelSelector | None = None,
    failure_policy: str = "Fail",
) -> MutatingWebhook:
    return MutatingWebhook(
        name=f"{name}.mutating.{SUFFIX}",
        path=MUTATING_PATH,
        rules=rules,
        failure_policy=failure_policy,
        match_policy="Exact",
        namespace_selector=namespaces,
        object_selector=objects,
        match_conditions=conditions,
        side_effects="NoneOnDryRun",
        timeout_seconds=TIMEOUT_SECONDS,
        admission_review_versions=("v1",),
        reinvocation_policy="IfNeeded",
    )

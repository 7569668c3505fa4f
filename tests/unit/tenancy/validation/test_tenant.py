"""What a Tenant may say, and when it may go."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.foundation.codec import Raw, encode
from tenantry.tenancy.request import Operation, Request, Requester, Role
from tenantry.tenancy.validation.rules import KindScope
from tenantry.tenancy.validation.tenant import TenantContext, check, mutate
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Denial, Mutation, Notice, Verdict


def _tenant(spec: dict[str, Any], name: str = "oil", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": spec}


def _request(new: dict[str, Any] | None, old: dict[str, Any] | None = None) -> Request:
    return Request(
        operation=Operation.DELETE if new is None else Operation.CREATE if old is None else Operation.UPDATE,
        group="capsule.clastix.io",
        version="v1beta2",
        kind="Tenant",
        resource="tenants",
        requester=Requester(username="admin"),
        object=None if new is None else Raw(encode(new)),
        old_object=None if old is None else Raw(encode(old)),
    )


def _check(new: dict[str, Any] | None, old: dict[str, Any] | None = None, role: Role = Role.UNKNOWN) -> Verdict:
    return check(_request(new, old), TenantContext(role=role))


def _refusal(message: str) -> Verdict:
    return Verdict(denial=Denial(reason="AdmissionFailed", message=message))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, Mutation(labels={"kubernetes.io/metadata.name": "oil"})),
        ({"kubernetes.io/metadata.name": "gas"}, Mutation(labels={"kubernetes.io/metadata.name": "oil"})),
        ({"kubernetes.io/metadata.name": "oil"}, UNCHANGED),
    ],
)
def test_a_tenant_carries_its_name_as_label(labels: dict[str, str], expected: Mutation) -> None:
    """TN-1: whatever a user writes there."""
    new = _tenant({}, labels=labels)

    assert mutate(_request(new)) == expected
    assert mutate(_request(new, _tenant({}))) == expected
    assert mutate(_request(None, new)) == UNCHANGED
    assert mutate(_request({"metadata": {"generateName": "oil-"}})) == UNCHANGED
    assert mutate(_request(_tenant({}, "o" * 64))) == UNCHANGED


@pytest.mark.parametrize("name", ["oil.gas", "Oil", "-oil", "oil-", "o" * 64, "oil\n"])
def test_names_of_tenants_are_dns_labels(name: str) -> None:
    """TN-2, D-1: the whole name, of a new Tenant."""
    verdict = _check(_tenant({}, name))

    assert verdict.denial is not None
    assert verdict.denial.message.startswith(f"Tenant {name!r}: metadata.name: must ")
    assert _check(_tenant({}, name), _tenant({}, name)) == ALLOWED
    assert _check(_tenant({}, name), role=Role.CONTROLLER) == ALLOWED


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"namespaceOptions": {"additionalMetadata": {"labels": {"a b": "x"}}}},
            "spec.namespaceOptions.additionalMetadata.labels[a b]: name part must consist",
        ),
        (
            {"namespaceOptions": {"additionalMetadata": {"labels": {"a": "x y"}}}},
            "spec.namespaceOptions.additionalMetadata.labels[a]: 'x y' must be empty or consist",
        ),
        (
            {"namespaceOptions": {"additionalMetadataList": [{}, {"annotations": {"/": "x"}}]}},
            "spec.namespaceOptions.additionalMetadataList[1].annotations[/]: prefix part must",
        ),
        (
            {"namespaceOptions": {"additionalMetadataList": [{"annotations": {"a": "{{ nam }}"}}]}},
            "spec.namespaceOptions.additionalMetadataList[0].annotations[a]: '{{ nam }}' {{nam}} is unknown",
        ),
        (
            {"namespaceOptions": {"additionalMetadataList": [{"labels": {"a": "{{ tenant"}}]}},
            "spec.namespaceOptions.additionalMetadataList[0].labels[a]: '{{ tenant' '{{ tenant' opens an action",
        ),
        (
            {"storageClasses": {"allowedRegex": "("}},
            "spec.storageClasses.allowedRegex: unable to compile regex '(': missing ): (",
        ),
        (
            {"ingressOptions": {"allowedHostnames": {"allowedRegex": "(?=x)"}}},
            "spec.ingressOptions.allowedHostnames.allowedRegex: unable to compile regex '(?=x)'",
        ),
        (
            {"containerRegistries": {"allowedRegex": "["}},
            "spec.containerRegistries.allowedRegex: unable to compile regex '['",
        ),
        (
            {"gatewayOptions": {"allowedClasses": {"allowedRegex": "["}}},
            "spec.gatewayOptions.allowedClasses.allowedRegex: unable to compile regex '['",
        ),
        (
            {"deviceClasses": {"allowedRegex": "["}},
            "spec.deviceClasses.allowedRegex: unable to compile regex '['",
        ),
        (
            {"namespaceOptions": {"forbiddenLabels": {"deniedRegex": "["}}},
            "spec.namespaceOptions.forbiddenLabels.deniedRegex: unable to compile regex '['",
        ),
        (
            {"serviceOptions": {"forbiddenAnnotations": {"deniedRegex": "["}}},
            "spec.serviceOptions.forbiddenAnnotations.deniedRegex: unable to compile regex '['",
        ),
        (
            {"namespaceOptions": {"requiredMetadata": {"annotations": {"env": "*"}}}},
            "spec.namespaceOptions.requiredMetadata.annotations[env]: unable to compile regex '*'",
        ),
        (
            {"owners": [{"kind": "User", "name": "x"}, {"kind": "ServiceAccount", "name": "builder"}]},
            "spec.owners[1].name: 'builder' is no ServiceAccount: write system:serviceaccount:<namespace>:<name",
        ),
        (
            {"owners": [{"kind": "ServiceAccount", "name": "system:serviceaccount:Ns:builder"}]},
            "spec.owners[0].name: the namespace of 'system:serviceaccount:Ns:builder' must consist",
        ),
        (
            {
                "additionalRoleBindings": [
                    {"clusterRoleName": "x", "subjects": [{"kind": "ServiceAccount", "name": "My_Account"}]}
                ]
            },
            "spec.additionalRoleBindings[0].subjects[0].name: 'My_Account' must consist",
        ),
        (
            {
                "rules": [
                    {
                        "permissions": {
                            "bindings": [
                                {
                                    "clusterRoleName": "x",
                                    "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "N"}],
                                }
                            ]
                        }
                    }
                ]
            },
            "spec.rules[0].permissions.bindings[0].subjects[0].namespace: 'N' must consist",
        ),
        (
            {"rules": [{"enforce": {"workloads": {"schedulers": [{"exp": "("}]}}}]},
            "spec.rules[0].enforce.workloads.schedulers[0]",
        ),
        (
            {"limitRanges": {"items": [{"limits": [{"type": "Pod", "max": {"cpu": "much"}}]}]}},
            "spec.limitRanges.items[0].limits[0].max[cpu]: 'much' is no quantity",
        ),
        ({"limitRanges": {"items": [{"limits": {"type": "Pod"}}]}}, "spec.limitRanges.items[0]: Expected `array`"),
        (
            {"networkPolicies": {"items": [{}, {"policyTypes": ["Ingres"]}]}},
            "spec.networkPolicies.items[1].policyTypes: 'Ingres' is none of Ingress, Egress",
        ),
        (
            {"networkPolicies": {"items": [{"podSelector": "all"}]}},
            "spec.networkPolicies.items[0]: Expected `object | null`",
        ),
        (
            {"resourceQuotas": {"items": [{"hard": {"pods": "-1"}}]}},
            "spec.resourceQuotas.items[0].hard[pods]: '-1' must not be negative",
        ),
    ],
)
def test_a_spec_that_makes_no_sense(spec: dict[str, Any], problem: str) -> None:
    """TN-3 to TN-6: one message, which names the field, the value and what is allowed."""
    verdict = _check(_tenant(spec))

    assert verdict.denial is not None
    assert verdict.denial.message.startswith(f"Tenant 'oil': {problem}")
    assert _check(_tenant(spec), _tenant({})) == verdict
    stored = _check(_tenant(spec, finalizers=["x"]), _tenant(spec))
    assert stored.denial is None, "what is stored is not judged again"


def test_all_problems_are_named_at_once() -> None:
    spec = {"storageClasses": {"allowedRegex": "("}, "owners": [{"kind": "ServiceAccount", "name": "x"}]}

    assert _check(_tenant(spec)) == _refusal(
        "Tenant 'oil': spec.storageClasses.allowedRegex: unable to compile regex '(': missing ): (; "
        "spec.owners[0].name: 'x' is no ServiceAccount: write system:serviceaccount:<namespace>:<name of the account>"
    )


def test_what_the_product_sets_itself_may_stand_in_additional_metadata() -> None:
    """14.1: it is ignored, without an error."""
    labels = {"capsule.clastix.io/tenant": "x", "kubernetes.io/metadata.name": "y"}

    assert _check(_tenant({"namespaceOptions": {"additionalMetadata": {"labels": labels}}})).denial is None


def test_kinds_are_looked_up_where_somebody_can() -> None:
    rules = [{"enforce": {"metadata": [{"kinds": ["Nothing"], "labels": {"a": {"required": True}}}]}}]
    request = _request(_tenant({"rules": rules}))

    def known_kinds(group: str, kind: str) -> KindScope | None:  # noqa: ARG001
        return KindScope.NAMESPACED if kind == "ConfigMap" else None

    assert check(request, TenantContext(role=Role.UNKNOWN)).denial is None
    assert check(request, TenantContext(role=Role.UNKNOWN, known_kinds=known_kinds)).denial is not None


@pytest.mark.parametrize("role", list(Role))
def test_a_protected_tenant_is_not_deleted(role: Role) -> None:
    """TN-8: by nobody; one that terminates already may be asked again."""
    protected = _tenant({"preventDeletion": True})

    assert _check(None, protected, role) == _refusal("tenant is protected and cannot be deleted")
    assert _check(None, _tenant({}), role) == ALLOWED
    assert _check(None, _tenant({"preventDeletion": True}, deletionTimestamp="2024-01-01T00:00:00Z"), role) == ALLOWED


def test_cordoning_is_told() -> None:
    """TN-9."""
    closed, opened = _tenant({"cordoned": True}), _tenant({})

    assert _check(closed, opened) == Verdict(
        notices=(Notice(reason="Cordoned", action="Cordoned", message="Tenant 'oil' has been cordoned"),)
    )
    assert _check(opened, closed) == Verdict(
        notices=(Notice(reason="UnCordoned", action="UnCordoned", message="Tenant 'oil' has been uncordoned"),)
    )
    assert _check(closed, closed) == ALLOWED


def test_deprecated_fields_are_told_once_each_with_their_successors() -> None:
    """TN-9, 13.7."""
    spec = {
        "namespaceOptions": {"quota": 3, "additionalMetadata": {}, "forbiddenLabels": {"denied": ["a"]}},
        "serviceOptions": {"allowedServices": {"nodePort": False}, "externalIPs": {"allowed": []}},
        "storageClasses": {"allowed": ["a"], "allowedRegex": "b"},
        "ingressOptions": {"allowedHostnames": {"allowedRegex": "b"}},
        "containerRegistries": {"allowedRegex": "b"},
        "imagePullPolicies": ["Always"],
        "limitRanges": {"items": []},
        "rules": [{"quota": [{"name": "a"}]}, {"quota": [{"name": "b"}]}],
    }

    assert _check(_tenant(spec)).warnings == (
        (
            "spec.namespaceOptions.additionalMetadata is deprecated: "
            "use spec.rules[].enforce.metadata with managed values instead"
        ),
        "spec.namespaceOptions.forbiddenLabels is deprecated: use spec.rules[].enforce.metadata instead",
        "spec.serviceOptions.allowedServices is deprecated: use spec.rules[].enforce.services.types instead",
        "spec.serviceOptions.externalIPs is deprecated: use spec.rules[].enforce.services instead",
        (
            "spec.storageClasses.allowedRegex is deprecated: "
            "use spec.storageClasses.allowed, matchLabels or matchExpressions instead"
        ),
        (
            "spec.ingressOptions.allowedHostnames.allowedRegex is deprecated: "
            "use spec.rules[].enforce.ingress.hostnames[].exp instead"
        ),
        "spec.limitRanges is deprecated: use replications (TenantResource or GlobalTenantResource) instead",
        "spec.containerRegistries is deprecated: use spec.rules[].enforce.workloads.registries instead",
        "spec.imagePullPolicies is deprecated: use spec.rules[].enforce.workloads.registries[].policy instead",
        "spec.rules[].quota is not enforced yet: the quota is stored, and nothing counts against it",
    )
    assert _check(_tenant({"owners": [{"kind": "User", "name": "a"}], "nodeSelector": {"a": "b"}})) == ALLOWED

"""Small parts of the controllers, each by its behaviour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from tenantry.api.configuration import CapsuleConfiguration
from tenantry.api.core import CustomResourceDefinition, Lease, RoleBinding
from tenantry.api.meta import PartialObject
from tenantry.api.tenant import Tenant
from tenantry.cli.operator import duration_seconds
from tenantry.foundation.clock import SystemClock
from tenantry.foundation.codec import decode, encode, from_plain
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig
from tenantry.operator import permissions
from tenantry.operator.crd_check import _problem_of
from tenantry.operator.metrics import OperatorCollector, RequestMetrics
from tenantry.operator.process import Operator
from tenantry.operator.settings import OperatorSettings
from tenantry.operator.sharing import Pool
from tenantry.wiring.probes import Probes, parse_address


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("", None), ("15", None), ("s", None), (".s", None)],
)
def test_durations_are_written_as_in_go(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("address", "parsed"),
    [(":8080", (None, 8080)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:2", ("::1", 2)), ("0", None), ("", None)],
)
def test_addresses_are_written_as_in_go(address: str, parsed: tuple[str | None, int] | None) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize("address", ["8080", "host:", ":99999", "x:y"])
def test_what_is_no_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address") as refusal:
        parse_address(address) if ":" in address else parse_address(f"{address}x")
    assert address in str(refusal.value)


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    probes = Probes(registry=CollectorRegistry(), readiness=lambda: ())
    async with probes.serving(health="127.0.0.1:28971", metrics="0"):
        with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:28971"):
            async with probes.serving(health="127.0.0.1:28971", metrics="0"):
                pass


async def test_probes_answer_with_what_is_wrong() -> None:
    problems = ["not listed yet: tenants"]
    registry = CollectorRegistry()
    RequestMetrics(registry).request("get", "tenants", 200, 0.1)
    probes = Probes(registry=registry, readiness=lambda: problems)
    async with (
        probes.serving(health="127.0.0.1:28972", metrics="127.0.0.1:28972"),
        aiohttp.ClientSession("http://127.0.0.1:28972") as session,
    ):

        async def get(path: str) -> tuple[int, str]:
            async with session.get(path) as answer:
                return answer.status, await answer.text()

        assert await get("/healthz") == (200, "ok\n")
        assert await get("/readyz") == (503, "not listed yet: tenants\n")
        problems.clear()
        assert await get("/readyz") == (200, "ok\n")
        assert "tenantry_api_requests_total{" in (await get("/metrics"))[1]


def definition(versions: dict[str, bool], stored: list[str]) -> CustomResourceDefinition:
    return from_plain(
        {
            "spec": {"versions": [{"name": name, "served": served} for name, served in versions.items()]},
            "status": {"storedVersions": stored},
        },
        CustomResourceDefinition,
    )


@pytest.mark.parametrize(
    ("versions", "stored", "problem"),
    [
        ({"v1beta2": True}, ["v1beta2"], None),
        ({"v1beta1": True}, ["v1beta1"], "does not serve v1beta2"),
        ({"v1beta2": True, "v1beta1": False}, ["v1beta1", "v1beta2"], "may still be stored as v1beta1"),
    ],
)
def test_definitions_that_we_can_t_work_with(versions: dict[str, bool], stored: list[str], problem: str | None) -> None:
    """13.20: objects in a version that nobody serves would be unreadable."""
    found = _problem_of(definition(versions, stored), "tenants.capsule.clastix.io", "v1beta2")

    assert (found is None) == (problem is None)
    assert problem is None or problem in str(found)


def test_the_rights_are_no_more_than_they_say() -> None:
    """No wildcard anywhere, no escalation, and Secrets in the own namespace alone."""
    everywhere = [
        (group, resource, verb)
        for rule in permissions.CLUSTER_RULES
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]

    assert not any("*" in part for each in everywhere for part in each)
    assert not {verb for *_, verb in everywhere} & {"bind", "escalate", "impersonate"}
    assert "secrets" not in {resource for _, resource, _ in everywhere}


def test_equal_parts_are_one_object() -> None:
    def made(name: str) -> RoleBinding:
        return from_plain(
            {
                "metadata": {
                    "name": name,
                    "namespace": "a",
                    "labels": {"x": "y"},
                    "ownerReferences": [{"name": "t", "uid": "u"}],
                    "creationTimestamp": "2030-01-01T00:00:00Z",
                },
                "subjects": [{"kind": "User", "name": "alice"}],
            },
            RoleBinding,
        )

    pool = Pool()
    first, second = pool.role_binding(made("one")), pool.role_binding(made("two"))

    assert (first.metadata.name, second.metadata.name) == ("one", "two")
    assert first.metadata.labels is second.metadata.labels
    assert first.metadata.owner_references is second.metadata.owner_references
    assert first.subjects is second.subjects
    assert first == made("one").__class__(
        metadata=pool.metadata(made("one").metadata), role_ref=first.role_ref, subjects=made("one").subjects
    )


def test_tenants_share_what_their_statuses_say_over_and_over() -> None:
    """And say the same as before."""

    def made(name: str) -> Tenant:
        spaces = [
            {"name": f"{name}-{each}", "uid": f"{name}{each}", "conditions": CONDITIONS, "metadata": {}}
            for each in range(2)
        ]
        status = {
            "namespaces": [f"{name}-0", f"{name}-1"],
            "spaces": spaces,
            "classes": {"priority": ["system-cluster-critical"]},
        }
        return decode(encode({"metadata": {"name": name, "uid": name}, "status": status}), Tenant)

    pool = Pool()
    first, second = (pool.tenant(made(name)).status for name in ("oil", "gas"))

    assert (first, second) == (made("oil").status, made("gas").status)
    assert first.spaces[0].conditions is second.spaces[1].conditions
    assert first.spaces[0].metadata is second.spaces[1].metadata
    assert first.spaces[0].name is first.namespaces[0]
    assert first.classes is second.classes


CONDITIONS = [{"type": "Ready", "status": "True", "reason": "Succeeded"}]


def fed(operator: Operator) -> Operator:
    caches = operator.tools.caches

    def metadata(name: str, **more: object) -> dict[str, object]:
        return {"name": name, "uid": f"uid-{name}", "resourceVersion": "5"} | more

    tenant = {
        "metadata": metadata("oil"),
        "spec": {"resourceQuotas": {"items": [{"hard": {"pods": "10", "limits.memory": "1Gi"}}]}},
        "status": {
            "size": 1,
            "conditions": CONDITIONS,
            "spaces": [{"name": "oil-dev", "uid": "uid-oil-dev", "conditions": CONDITIONS}],
        },
    }
    caches.tenants.observe(from_plain(tenant, Tenant))
    reference = {"apiVersion": "capsule.clastix.io/v1beta2", "kind": "Tenant", "name": "oil", "uid": "uid-oil"}
    namespace = {"metadata": metadata("oil-dev", ownerReferences=[reference])}
    caches.namespaces.observe(from_plain(namespace, PartialObject))
    configuration = {"metadata": metadata("default"), "status": {"conditions": CONDITIONS}}
    caches.configurations.observe(from_plain(configuration, CapsuleConfiguration))
    return operator


def test_metrics_have_capsule_s_names() -> None:
    """ME-1 to ME-3, as dashboards and alerts of its users ask for them."""
    client = Client(ClusterConfig(server="https://127.0.0.1:1"))
    registry = CollectorRegistry()
    operator = fed(Operator(client, OperatorSettings(), clock=SystemClock()))
    registry.register(OperatorCollector(operator))

    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("capsule_")]
    assert lines == [
        'capsule_tenant_condition{condition="Ready",tenant="oil"} 1.0',
        'capsule_tenant_namespace_condition{condition="Ready",target_namespace="oil-dev",tenant="oil"} 1.0',
        'capsule_tenant_namespace_relationship{target_namespace="oil-dev",tenant="oil"} 1.0',
        'capsule_tenant_namespace_count{tenant="oil"} 1.0',
        'capsule_tenant_resource_usage{resource="pods",resourcequotaindex="0",tenant="oil"} 0.0',
        'capsule_tenant_resource_usage{resource="limits.memory",resourcequotaindex="0",tenant="oil"} 0.0',
        'capsule_tenant_resource_limit{resource="pods",resourcequotaindex="0",tenant="oil"} 10.0',
        'capsule_tenant_resource_limit{resource="limits.memory",resourcequotaindex="0",tenant="oil"} 1.073741824e+09',
        'capsule_config_condition{condition="Ready",name="default"} 1.0',
    ]


def test_requests_are_counted_by_verb_resource_and_answer() -> None:
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry)
    metrics.request("patch", "tenants", 200, 0.1)
    metrics.request("patch", "tenants", 200, 0.1)

    assert (
        registry.get_sample_value(
            "tenantry_api_requests_total", {"verb": "patch", "resource": "tenants", "code": "200"}
        )
        == 2
    )


def lease(name: str, version: str, **seen: str) -> Lease:
    plain: dict[str, Any] = {
        "metadata": {
            "name": name,
            "namespace": "capsule-system",
            "uid": name,
            "resourceVersion": version,
            "labels": {"app.kubernetes.io/component": "admission-acknowledgement"},
            "annotations": {f"tenantry.io/seen-{key}": value for key, value in seen.items()},
        },
        "spec": {
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "leaseDurationSeconds": 60,
        },
    }
    return from_plain(plain, Lease)


async def test_who_waits_for_admission_is_woken_by_its_lease() -> None:
    """As soon as the last worker has seen what they wait for, and not before."""
    operator = Operator(Client(ClusterConfig(server="https://127.0.0.1:1")), OperatorSettings(), clock=SystemClock())
    enforcement, leases = operator.tools.enforcement, operator.tools.caches.acknowledgements
    tenant = from_plain({"metadata": {"name": "oil", "uid": "u", "resourceVersion": "7"}}, Tenant)
    woken: list[str] = []
    leases.observe(lease("one", "10", tenants="7"))
    leases.observe(lease("two", "11", tenants="6"))
    need = enforcement.tenant(tenant)
    assert not enforcement.is_seen((need,))

    enforcement.wait(woken.append, "oil", (need,))
    leases.observe(lease("one", "12", tenants="8"))
    assert woken == []
    leases.observe(lease("two", "13", tenants="9"))
    assert woken == ["oil"]


def test_a_status_write_does_not_make_a_tenant_newer_to_admission() -> None:
    """What must be seen is the version that brought the spec, not the latest."""
    operator = Operator(Client(ClusterConfig(server="https://127.0.0.1:1")), OperatorSettings(), clock=SystemClock())
    tenant = operator.tools.enforcement.tenant

    def version(number: str, generation: int) -> int:
        metadata = {"name": "oil", "uid": "u", "resourceVersion": number, "generation": generation}
        return tenant(from_plain({"metadata": metadata}, Tenant))[1]

    assert [version("7", 1), version("8", 1), version("9", 2)] == [7, 7, 9]

"""The examples are applied as they stand, and do what their comments say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tenantry.testing.platform import Completed, Platform

FOLDER: Final = Path(__file__).parents[2] / "examples"
CONFIGURATION: Final = FOLDER / "configuration.yaml"
ALL: Final = sorted(FOLDER.glob("*.yaml"))
TENANTS: Final = [path for path in ALL if path != CONFIGURATION]
PATIENCE_SECONDS: Final = 30.0


def name_of(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", [*ALL, *sorted((FOLDER / "demo").glob("*.yaml"))], ids=name_of)
async def test_the_api_server_takes_each_example(platform: Platform, path: Path) -> None:
    # A Tenant that another test is done with may still be going; who wrote its fields is not the question here.
    await platform.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", str(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of a user, and its outcome."""

    arguments: tuple[str, ...]
    stdin: str | None = None
    refused: str | None = None
    """A part of the message; None: it must pass."""
    shows: str = ""
    """A part of the output."""
    fields: Callable[[Any], object] = lambda _: None
    """Picks something of the object that comes back as JSON ..."""
    are: object = None
    """... which must be this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What users do with the tenant of an example."""

    example: str
    user: str
    groups: tuple[str, ...] = ("projectcapsule.dev",)
    account: str = ""
    """Act as this ServiceAccount instead."""
    spaces: tuple[dict[str, Any], ...] = ()
    """Namespaces that the user makes first."""
    steps: tuple[Step, ...] = ()


def space(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(namespace: str, image: str, *, pull_policy: str | None = None, **container: Any) -> str:
    policy = {} if pull_policy is None else {"imagePullPolicy": pull_policy}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"containers": [{"name": "app", "image": image, **policy, **container}]},
        }
    )


def ingress(namespace: str, name: str, host: str, *, of_class: str = "public") -> str:
    backend = {"service": {"name": "app", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return json.dumps(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"ingressClassName": of_class, "rules": [{"host": host, "http": {"paths": [path]}}]},
        }
    )


def service(namespace: str, kind: str = "ClusterIP") -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"type": kind, "ports": [{"port": 80}]},
        }
    )


def make(manifest: str, **outcome: Any) -> Step:
    return Step(arguments=("create", "-f", "-", "-o=json"), stdin=manifest, **outcome)


def attempt(manifest: str, **outcome: Any) -> Step:
    return Step(arguments=("create", "--dry-run=server", "-f", "-", "-o=json"), stdin=manifest, **outcome)


def new_namespace(name: str, **outcome: Any) -> Step:
    return Step(arguments=("create", "namespace", name), **outcome)


def container_of(found: Any) -> object:
    return found["spec"]["containers"][0]["resources"]


REGISTRY: Final = "registry.example.com"
SCENARIOS: Final = (
    Scenario(
        example="minimal", user="alice", spaces=(space("solo-one"), space("two")), steps=(new_namespace("three"),)
    ),
    Scenario(
        example="silver",
        user="silvia",
        groups=("projectcapsule.dev", "team-silver"),
        spaces=(space("silver-one"),),
        steps=(
            new_namespace("bronze", refused="expected silver-bronze"),
            attempt(pod("silver-one", f"{REGISTRY}/silver/app:1"), shows=f"{REGISTRY}/silver/app:1"),
            attempt(pod("silver-one", f"{REGISTRY}/gold/app:1"), refused="is not allowed by namespace rule"),
            attempt(service("silver-one")),
            attempt(service("silver-one", "NodePort"), refused="Allowed service types: ClusterIP"),
        ),
    ),
    Scenario(
        example="gold",
        user="gunter",
        groups=("projectcapsule.dev", "team-gold"),
        spaces=(space("gold-one"),),
        steps=(
            Step(
                arguments=("get", "namespace", "gold-one", "-o=json"),
                fields=lambda found: (
                    found["metadata"]["labels"]["cost-centre"],
                    found["metadata"]["annotations"]["scheduler.alpha.kubernetes.io/node-selector"],
                ),
                are=("4711", "pool=gold"),
            ),
            Step(
                arguments=("label", "namespace", "gold-one", "pod-security.kubernetes.io/warn=privileged"),
                refused="is forbidden for the current tenant",
            ),
            attempt(ingress("gold-one", "web", "shop.gold.example.com")),
            attempt(ingress("gold-one", "web", "shop.example.com"), refused="is not allowed by namespace rule"),
            attempt(service("gold-one", "LoadBalancer"), refused="requires spec.loadBalancerIP"),
        ),
    ),
    Scenario(
        example="registries",
        user="irene",
        spaces=(space("images-production", stage="production"), space("images-test")),
        steps=(
            attempt(pod("images-test", f"{REGISTRY}/app:latest")),
            attempt(
                pod("images-test", "docker.io/app:1"), refused="Allowed registries: exp: ^registry\\.example\\.com/"
            ),
            attempt(pod("images-test", f"{REGISTRY}/legacy/app:1"), shows="matched audit registry rule"),
            attempt(pod("images-production", f"{REGISTRY}/app:1", pull_policy="Always")),
            attempt(pod("images-production", f"{REGISTRY}/app:1"), refused="allowed: Always"),
            attempt(pod("images-production", f"{REGISTRY}/app:latest"), refused="is denied by namespace rule"),
        ),
    ),
    Scenario(
        example="ingress",
        user="walter",
        spaces=(space("web-one"), space("web-two")),
        steps=(
            make(ingress("web-one", "shop", "shop.web.example.com")),
            attempt(ingress("web-two", "shop", "shop.web.example.com"), refused="is already used across the cluster"),
            attempt(ingress("web-one", "other", "shop.example.com"), refused="is not valid for the current Tenant"),
            attempt(ingress("web-one", "all", "*.web.example.com"), refused="Wildcard denied for tenant web"),
            attempt(ingress("web-one", "x", "x.web.example.com", of_class="edge"), refused="Ingress Class edge"),
        ),
    ),
    Scenario(
        example="quotas",
        user="quentin",
        spaces=(space("bounded-one"), space("bounded-two")),
        steps=(
            new_namespace("bounded-three", refused="Cannot exceed Namespace quota"),
            attempt(
                pod("bounded-one", "app:1"),
                fields=container_of,
                are={"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
            ),
        ),
    ),
    Scenario(
        example="resources",
        user="sven",
        spaces=(space("sized-one"),),
        steps=(
            attempt(
                pod("sized-one", "app:1"),
                fields=container_of,
                are={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "192Mi"}},
            ),
            attempt(
                pod("sized-one", "app:1", resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}),
                fields=container_of,
                are={"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"memory": "192Mi"}},
            ),
            attempt(
                pod("sized-one", "app:1", resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
                refused="must not exceed 1536Mi",
            ),
        ),
    ),
    Scenario(
        example="metadata",
        user="lena",
        spaces=(space("labelled-one", stage="development"),),
        steps=(
            new_namespace("labelled-two", refused="required"),
            make(json.dumps(space("labelled-three", stage="holiday")), refused="is not allowed by namespace rule"),
            attempt(
                service("labelled-one"),
                fields=lambda found: found["metadata"]["labels"]["example.com/cost-centre"],
                are="4711",
            ),
        ),
    ),
    Scenario(
        example="gitops",
        user="",
        account="system:serviceaccount:delivery-system:gitops-reconciler",
        spaces=(space("delivery-shop"),),
        steps=(new_namespace("shop", refused="expected delivery-shop"),),
    ),
    Scenario(
        example="node-pool",
        user="paula",
        spaces=(space("pooled-one"),),
        steps=(
            Step(
                arguments=(
                    "annotate",
                    "--overwrite",
                    "namespace",
                    "pooled-one",
                    "scheduler.alpha.kubernetes.io/node-selector=pool=web",
                ),
                refused="kubernetes.io/os=linux,pool=batch",
            ),
            attempt(
                pod("pooled-one", "app:1"),
                fields=lambda found: found["spec"]["nodeSelector"],
                are={"pool": "batch", "kubernetes.io/os": "linux"},
            ),
        ),
    ),
    Scenario(
        example="cordoned", user="fred", steps=(new_namespace("frozen-one", refused="the selected tenant is cordoned"),)
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.example)
async def test_each_example_becomes_ready_and_does_what_it_says(platform: Platform, scenario: Scenario) -> None:
    async with applied(platform, FOLDER / f"{scenario.example}.yaml"):
        for each in scenario.spaces:
            await _done(platform, scenario, make(json.dumps(each)))
        for each in scenario.spaces:
            await _until_works(platform, scenario, each["metadata"]["name"])
        for step in scenario.steps:
            await _done(platform, scenario, step)


def test_each_example_has_a_scenario() -> None:
    assert {scenario.example for scenario in SCENARIOS} == {path.stem for path in TENANTS}


def tenant_in(path: Path) -> str:
    (name,) = (one["metadata"]["name"] for one in yaml.safe_load_all(path.read_text()) if one["kind"] == "Tenant")
    return str(name)


@asynccontextmanager
async def applied(platform: Platform, path: Path) -> AsyncIterator[None]:
    """Have the objects of *path* there and Ready, and gone afterwards, with all namespaces."""
    tenant = tenant_in(path)
    await platform.kubectl("apply", "--server-side", "-f", str(path))
    try:
        await platform.kubectl("wait", "--for=condition=Ready", f"tenant/{tenant}", "--timeout=30s")
        yield
    finally:
        spared = '{"spec":{"preventDeletion":false}}'
        await platform.kubectl("patch", "tenant", tenant, "--type=merge", "-p", spared)
        await platform.kubectl("delete", "-f", str(path), "--wait=false")


async def _done(platform: Platform, scenario: Scenario, step: Step) -> None:
    done = await _kubectl(platform, scenario, step)
    if step.refused is not None:
        assert done.code != 0, f"it passed: {step}"
        assert step.refused in done.output, done.output
        return
    assert done.code == 0, done.output
    assert step.shows in done.output, done.output
    if step.are is not None:
        assert step.fields(json.loads(done.stdout)) == step.are


async def _kubectl(platform: Platform, scenario: Scenario, step: Step) -> Completed:
    if scenario.account:
        return await platform.kubectl(f"--as={scenario.account}", *step.arguments, stdin=step.stdin, check=False)
    user = platform.user(scenario.user, scenario.groups)
    return await platform.kubectl(*step.arguments, user=user, stdin=step.stdin, check=False)


async def _until_works(platform: Platform, scenario: Scenario, namespace: str) -> None:
    """Wait for the owner's roles, and for everything else that a namespace gets."""
    tenant = tenant_in(FOLDER / f"{scenario.example}.yaml")
    path = f'{{.status.spaces[?(@.name=="{namespace}")].conditions[?(@.type=="Ready")].status}}'
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await platform.kubectl("get", "tenant", tenant, f"-o=jsonpath={path}")).stdout != "True":  # noqa: ASYNC110  # nothing to wait on but the cluster itself
            await asyncio.sleep(0.2)

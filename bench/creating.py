"""Pods and ConfigMaps created in tenants and outside, by turns, so that what the machine does besides cancels out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from bench.counters import webhook_calls
from bench.figures import Figure, Row, p50
from bench.scene import Scene
from bench.wire import Answer, Door

OUTSIDE: Final = "outside"
PLAIN: Final = "plain"
RULED: Final = "ruled"
OWNER: Final = "carol"
ROUNDS: Final = 5
BLOCK: Final = 100
IN_FLIGHT: Final = 16
BURST: Final = 400
_BLOCK_IN_FLIGHT: Final = 400
_numbers = count()


@dataclass(frozen=True, slots=True)
class Target:
    """Where to create what."""

    kind: str
    """``pods`` or ``configmaps``."""
    namespace: str

    @property
    def path(self) -> str:
        """Where it is posted."""
        return f"/api/v1/namespaces/{self.namespace}/{self.kind}"


POD_OUTSIDE, POD_PLAIN, POD_RULED = (Target("pods", place) for place in (OUTSIDE, f"{PLAIN}-1", f"{RULED}-1"))
MAP_OUTSIDE, MAP_PLAIN = (Target("configmaps", place) for place in (OUTSIDE, f"{PLAIN}-1"))
TARGETS: Final = (POD_OUTSIDE, POD_PLAIN, POD_RULED, MAP_OUTSIDE, MAP_PLAIN)


def pod(name: str, image: str = "registry.k8s.io/pause:3.10") -> dict[str, Any]:
    """Return a Pod as a Deployment makes it, which no scheduler takes: the create alone is measured."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "shop", "app.kubernetes.io/name": "shop", "app.kubernetes.io/version": "1.2.3"},
            "annotations": {"example.com/checksum": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"},
        },
        "spec": {
            "schedulerName": "bench",
            "containers": [
                {
                    "name": "shop",
                    "image": image,
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "env": [{"name": f"SETTING_{number}", "value": f"value {number}"} for number in range(8)],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                    "readinessProbe": probe,
                    "livenessProbe": probe,
                }
            ],
        },
    }


def _body(kind: str, name: str) -> dict[str, Any]:
    if kind == "pods":
        return pod(name)
    data = {f"key-{number}": "x" * 100 for number in range(5)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def fifty_rules() -> list[dict[str, Any]]:
    """Return fifty rules for Pods, of all families; a Pod of :func:`pod` passes, by the last of the registries."""
    registries = [
        {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": rf"^registry-{n}\.example\.com/.*"}]}}}
        for n in range(30)
    ]
    denied = [
        {"enforce": {"action": "deny", "workloads": {"schedulers": [{"exp": f"^forbidden-{n}$"}]}}} for n in range(9)
    ]
    metadata = [
        {
            "enforce": {
                "action": "allow",
                "metadata": [
                    {
                        "kinds": ["Pod"],
                        "labels": {f"example.com/key-{n}": {"values": [{"exp": "^[a-z]+$"}]}},
                    }
                ],
            }
        }
        for n in range(9)
    ]
    classes = {"enforce": {"action": "allow", "workloads": {"qosClasses": ["Burstable", "Guaranteed"]}}}
    last = {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": r"^registry\.k8s\.io/.*"}]}}}
    return [*registries, *denied, *metadata, classes, last]


async def _create(door: Door, target: Target) -> Answer:
    return await door.must("POST", target.path, _body(target.kind, f"b-{next(_numbers)}"))


async def set_up(scene: Scene) -> Door:
    """Make the namespaces; return the owner of the tenants' ones."""
    owner = scene.owner(OWNER)
    await scene.tenant(PLAIN, OWNER)
    await scene.tenant(RULED, OWNER, {"rules": fifty_rules()})
    await scene.namespace(scene.admin, OUTSIDE, None)
    for name in (PLAIN, RULED):
        await scene.namespace(owner, f"{name}-1", name)
        await scene.in_force(name)
    await scene.quiet()
    for target in TARGETS:
        for _ in range(20):
            await _create(_door(scene, owner, target), target)
    return owner


def _door(scene: Scene, owner: Door, target: Target) -> Door:
    """Outside tenants the owner has no rights: the administrator, whose rights are checked as fast, stands in."""
    return scene.admin if target.namespace == OUTSIDE else owner


async def one_at_a_time(scene: Scene, owner: Door) -> list[Row]:
    """Measure latency and CPU of creates, one after the other."""
    seconds: dict[Target, list[float]] = defaultdict(list)
    cpu: dict[Target, list[tuple[float, float]]] = defaultdict(list)
    calls = 0
    reads = -_reads(await scene.requests())
    for _ in range(ROUNDS):
        for target in TARGETS:
            before, called = scene.cpu(), await webhook_calls(scene.admin) if target == POD_PLAIN else 0
            before = scene.cpu()
            answers = [await _create(_door(scene, owner, target), target) for _ in range(BLOCK)]
            used = scene.cpu() - before
            seconds[target] += [answer.seconds for answer in answers]
            cpu[target].append((used.product, used.api_server))
            if target == POD_PLAIN:
                calls += await webhook_calls(scene.admin) - called
    reads += _reads(await scene.requests())
    creates = ROUNDS * BLOCK

    def latency(target: Target, at_most: float | None = None) -> Figure:
        name = "outside tenants, p50" if at_most is None else "p50"
        return Figure(name=name, value=p50(seconds[target]) * 1e3, unit="ms", at_most=at_most)

    def used_by(target: Target, which: int) -> float:
        return sum(each[which] for each in cpu[target]) / creates * 1e3

    return [
        Row(
            work="Pod create in a tenant without rules",
            capsule="39.9 ms; 7 webhook calls, 13 live reads",
            figures=(
                latency(POD_PLAIN, 9),
                latency(POD_OUTSIDE),
                Figure(name="webhook calls a Pod", value=calls / creates, at_most=2),
                Figure(name="live reads of admission, all rows of creates together", value=reads, at_most=0),
            ),
        ),
        Row(work="Pod create in a tenant with 50 rules", capsule="", figures=(latency(POD_RULED, 10),)),
        Row(
            work="ConfigMap create in a tenant without rules",
            capsule="32.3 ms",
            figures=(latency(MAP_PLAIN, 6.5), latency(MAP_OUTSIDE)),
        ),
        Row(
            work="CPU for a Pod create",
            capsule="product 12-15 ms, API server 32-38 ms",
            figures=(
                Figure(name="product", value=used_by(POD_PLAIN, 0), unit="ms", at_most=1.5),
                Figure(name="API server", value=used_by(POD_PLAIN, 1), unit="ms", at_most=7),
                Figure(name="product, 50 rules", value=used_by(POD_RULED, 0), unit="ms"),
                Figure(name="API server, outside tenants", value=used_by(POD_OUTSIDE, 1), unit="ms"),
            ),
        ),
    ]


def _reads(requests: Any) -> int:
    return sum(n for request, n in requests.items() if request.part == "admission" and request.verb in {"get", "list"})


async def many_at_a_time(scene: Scene, owner: Door) -> list[Row]:
    """Measure throughput with some requests in flight, and a burst of many at once."""
    taken: dict[Target, float] = defaultdict(float)
    created: dict[Target, int] = defaultdict(int)
    for _ in range(3):
        for target in (POD_OUTSIDE, POD_PLAIN):
            door = _door(scene, owner, target)
            answers = await _in_flight(door, target)
            taken[target] += max(each.answered_at for each in answers) - min(each.sent_at for each in answers)
            created[target] += len(answers)
    await scene.quiet()
    door = _door(scene, owner, POD_PLAIN)
    await door.open(BURST)
    burst = await asyncio.gather(
        *(door.send("POST", POD_PLAIN.path, _body("pods", f"burst-{number}")) for number in range(BURST))
    )
    failed = sum(not each.is_done for each in burst)
    whole = max(each.answered_at for each in burst) - min(each.sent_at for each in burst)
    return [
        Row(
            work=f"Pod creates, {IN_FLIGHT} in flight",
            capsule="41/s",
            figures=(
                Figure(name="in a tenant", value=created[POD_PLAIN] / taken[POD_PLAIN], unit="/s", at_least=200),
                Figure(name="outside tenants", value=created[POD_OUTSIDE] / taken[POD_OUTSIDE], unit="/s"),
            ),
        ),
        Row(
            work=f"{BURST} Pod creates at once",
            capsule="400 of 400 fail after 34 s",
            figures=(
                Figure(name="failed", value=failed, at_most=0),
                Figure(name="until the last was answered", value=whole, unit="s"),
            ),
        ),
    ]


async def _in_flight(door: Door, target: Target) -> Sequence[Answer]:
    answers: list[Answer] = []
    left = iter(range(_BLOCK_IN_FLIGHT))

    async def worker() -> None:
        for _ in left:
            answers.append(await _create(door, target))  # noqa: PERF401 - several workers fill it

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())
    return answers

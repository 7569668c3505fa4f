"""How long a new rule takes to be in force: from the answer to the edit until a Pod that breaks it is refused."""

from __future__ import annotations

from typing import Final

from bench.creating import OWNER, pod
from bench.figures import Figure, Row, p50, p99
from bench.scene import Scene

TENANT: Final = "moving"
TIMES: Final = 60
_POD: Final = f"/api/v1/namespaces/{TENANT}-1/pods?dryRun=All"


async def staleness(scene: Scene) -> list[Row]:
    """Add and remove a rule, and try a Pod against it as fast as it is answered."""
    owner = scene.owner(OWNER)
    await scene.tenant(TENANT, OWNER)
    await scene.namespace(owner, f"{TENANT}-1", TENANT)
    await scene.in_force(TENANT)
    await scene.quiet()
    body = pod("tried", image="docker.io/library/busybox:1")
    rule = {"enforce": {"action": "deny", "workloads": {"registries": [{"exp": "^docker\\.io/"}]}}}
    seconds, let_through = [], 0
    for _ in range(TIMES):
        edited = await scene.edit_tenant(TENANT, {"rules": [rule]})
        while (answer := await owner.send("POST", _POD, body)).is_done:
            let_through += 1
        seconds.append(answer.answered_at - edited)
        await scene.edit_tenant(TENANT, {"rules": None})
        while not (await owner.send("POST", _POD, body)).is_done:
            pass
    return [
        Row(
            work="staleness: a rule added to a Tenant until a Pod that breaks it is refused",
            capsule="",
            figures=(
                Figure(name="p50, from one answer to the other", value=p50(seconds) * 1e3, unit="ms"),
                Figure(name="p99", value=p99(seconds) * 1e3, unit="ms"),
                Figure(name="Pods let through meanwhile, a rule", value=let_through / TIMES),
            ),
        )
    ]

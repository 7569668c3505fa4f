"""What the product does when nothing changed: nothing."""

from __future__ import annotations

from itertools import count
from typing import Final

from bench.converging import writes
from bench.counters import READS, Requests, told
from bench.figures import Figure, Row
from bench.scene import Scene
from bench.wire import MERGE_PATCH
from tenantry.api.meta import CAPSULE_API_VERSION

CONFIGURATION: Final = f"/apis/{CAPSULE_API_VERSION}/capsuleconfigurations/default"
_numbers = count()


def _of_operator(requests: Requests) -> Requests:
    return Requests({request: n for request, n in requests.items() if request.part == "operator"})


async def resync(scene: Scene) -> list[Row]:
    """Start the operator anew, then have it look at everything again."""
    platform = scene.platform
    await scene.quiet()
    await platform.stop_part(platform.operator)
    await platform.run(platform.operator)
    await platform.wait_ready()
    await scene.quiet()
    started = _of_operator(await scene.requests())
    written = writes(started)
    scene.say(f"      requests after a restart: {told(started)}")
    before = await scene.requests()
    cpu = scene.cpu()
    # Nothing depends on it but what everything is made from: so everything is looked at.
    edit = {"spec": {"protectedNamespaceRegex": f"^nothing-{next(_numbers)}$"}}
    await scene.admin.must("PATCH", CONFIGURATION, edit, content_type=MERGE_PATCH)
    await scene.quiet()
    used = scene.cpu() - cpu
    again = await scene.requests() - before
    own = {"capsuleconfigurations", "leases"}
    others = Requests({request: n for request, n in again.items() if request.resource not in own})
    scene.say(f"      calls of a full look: {told(again)}")
    return [
        Row(
            work="resync of everything unchanged",
            capsule="",
            figures=(
                Figure(name="writes after a restart of the operator", value=written.total(), at_most=0),
                Figure(
                    name="reads after a restart: lists, their pages, watches",
                    value=sum(n for request, n in started.items() if request.verb in READS),
                ),
                Figure(name="calls for a look at everything, without a restart", value=others.total(), at_most=0),
                Figure(name="CPU of the operator for that look", value=used.operator, unit="s"),
            ),
        )
    ]

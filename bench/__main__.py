"""The command: ``python -m bench [STAGE ...]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from bench import converging, creating, restart, resync, staleness
from bench.figures import Report, Row, table
from bench.gateway.stage import gateway
from bench.scene import Scene
from bench.wire import Door
from tenantry.controlplane.cluster import ControlPlane
from tenantry.testing.platform import Platform

QUIET: Final = 0.7
RESULTS: Final = Path(__file__).parent / "results"


def say(line: str) -> None:
    """Tell what goes on."""
    print(line, flush=True)


async def _creating(scene: Scene) -> list[Row]:
    owner = await creating.set_up(scene)
    return [*await creating.one_at_a_time(scene, owner), *await creating.many_at_a_time(scene, owner)]


async def _converging(scene: Scene) -> list[Row]:
    rows = await converging.many_tenants(scene)
    await converging.big_tenant(scene)
    return [*rows, *await converging.one_edit(scene), *await converging.memory_use(scene)]


STAGES: Final[dict[str, Callable[[Scene], Awaitable[list[Row]]]]] = {
    "creating": _creating,
    "converging": _converging,
    "staleness": staleness.staleness,
    "resync": resync.resync,
    "restart": restart.restart,
    "gateway": gateway,
}


async def run(stages: Sequence[str], folder: Path, report: Report) -> None:
    """Measure *stages*, in order; *report* gets the rows as they come."""
    started = perf_counter()
    say("Starting a control plane and the product on it ...")
    plane = await ControlPlane.start(folder / "cluster")
    try:
        platform = await Platform.start(plane, folder / "tenantry")
        scene = Scene(plane=plane, platform=platform, admin=Door.of(plane.kubeconfig), say=say)
        try:
            for stage in stages:
                say(f"{perf_counter() - started:5.0f} s  {stage} ...")
                rows = await STAGES[stage](scene)
                table(rows, lambda line: say(f"         {line}"))
                report.rows += rows
        finally:
            scene.close()
            await platform.stop()
    finally:
        await plane.stop()
        report.seconds = perf_counter() - started


def main() -> int:
    """Run what was asked for; a figure that misses its aim is told, and is no failure of the command."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of {', '.join(STAGES)}; all where none is given")
    parser.add_argument("--folder", type=Path, help="where the cluster and the logs go, and stay")
    given = parser.parse_args()
    unknown = [stage for stage in given.stages if stage not in STAGES]
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)}; there are {', '.join(STAGES)}")
    report = Report()
    if report.load > QUIET:
        say(
            f"This machine is busy (load {report.load}): counts and CPU still mean something, latencies and rates less."
        )
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as temporary:
        asyncio.run(run(given.stages or list(STAGES), given.folder or Path(temporary), report))
    say("")
    table(report.rows, say)
    written = report.write(RESULTS)
    say(f"\n{report.seconds:.0f} s in all; written to {written}")
    for line in report.missed:
        say(f"missed: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

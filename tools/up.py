"""``make up``: the demo's platform, left running in the foreground until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.errors import TenantryError
from tenantry.testing.platform import Platform
from tour import failed, say

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "build" / "up"


async def up() -> None:
    """Start, tell how to use it, wait for Ctrl-C, stop; the data stays for the next time."""
    say("Starting a Kubernetes control plane and tenantry on it; its data stays in build/up ...")
    plane = await ControlPlane.start(FOLDER / "cluster")
    try:
        platform = await Platform.start(plane, FOLDER / "tenantry")
        try:
            await platform.kubectl("apply", "-f", str(ROOT / "examples" / "demo" / "oil.yaml"))
            await platform.kubectl("apply", "-f", str(ROOT / "examples" / "demo" / "gas.yaml"))
            say()
            say("Running.  In another terminal:")
            say(f"   export KUBECONFIG={plane.kubeconfig}   # the administrator")
            say(f"   export KUBECONFIG={platform.user('alice')}   # alice, who owns the tenant oil")
            say(f"   export KUBECONFIG={platform.user('bob')}   # bob, who owns the tenant gas")
            say(f"   {platform.kubectl_program} get tenants")
            say(f"Logs: {platform.operator.log} and {platform.admission.log}")
            say("Stop with Ctrl-C.")
            await _interrupted()
            say("Stopping ...")
        finally:
            await platform.stop()
    finally:
        await plane.stop()


async def _interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def main() -> int:
    """Run until Ctrl-C."""
    try:
        asyncio.run(up())
    except TenantryError as error:
        failed(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

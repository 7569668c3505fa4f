"""``make up``: the demo's platform, left running in the foreground until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from demo_gateway import started
from tenantry.controlplane.cluster import ControlPlane
from tenantry.foundation.errors import TenantryError
from tenantry.testing.gateway import Gateway
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
            await platform.kubectl("apply", "-f", str(ROOT / "examples" / "demo" / "classes.yaml"))
            gateway = await started(platform, FOLDER / "gateway")
            try:
                _tell(platform, gateway)
                await _interrupted()
                say("Stopping ...")
            finally:
                await gateway.stop()
        finally:
            await platform.stop()
    finally:
        await plane.stop()


def _tell(platform: Platform, gateway: Gateway) -> None:
    say()
    say("Running.  In another terminal:")
    for user, tenant in (("alice", "oil"), ("bob", "gas")):
        say(f"   export KUBECONFIG={gateway.user(user)}   # {user}, who owns the tenant {tenant}, through the gateway")
    say(f"   export KUBECONFIG={platform.plane.kubeconfig}   # the administrator, at the API server")
    say(f"   {platform.kubectl_program} create namespace oil-production   # as alice")
    say(f"   {platform.kubectl_program} get namespaces")
    say(f"The gateway's configuration, read again when it changes: {gateway.folder / 'gateway.yaml'}")
    say(f"Audit records: {gateway.audit_file}")
    say(f"Logs: {', '.join(str(part.log) for part in (platform.operator, platform.admission, gateway.part))}")
    say("Stop with Ctrl-C.")


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

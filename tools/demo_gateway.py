"""The demo's second half: two tenants' users go through the gateway, each as themselves."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tenantry.testing.gateway import Gateway
from tenantry.testing.platform import Platform
from tour import Tour, Watch, say

PORT: Final = 9001
USERS: Final = ("alice", "bob")
OIL: Final = ("oil-development", "oil-production", "oil-test")
GAS: Final = ("gas-production",)
MOST_LOCK_SECONDS: Final = 2.0
SHOWN: Final = ("stage", "user", "verb", "path", "code", "decision", "reason")
"""Of an audit record; there is more in it."""


async def gateway_part(tour: Tour, folder: Path, classes: Path) -> None:
    """Start a gateway, go through it, stop it."""
    gateway = await started(tour.platform, folder)
    for user in USERS:
        tour.users[through(user)] = gateway.user(user)
    try:
        await _namespaces(tour)
        await _across(tour, classes)
        await _refusals(tour)
        tour.step("bob watches. alice invites him into a namespace, and takes the invitation back.")
        watch = await tour.watch(through("bob"), "get", "namespaces", "--watch", "--output-watch-events")
        try:
            await _watch(tour, watch)
            await _lock(tour, gateway, watch)
        finally:
            await watch.stop()
        await _audit(tour, gateway)
    finally:
        await gateway.stop()


async def started(platform: Platform, folder: Path) -> Gateway:
    """Start the gateway on the port that it has in a cluster, if that is free here."""
    say()
    say("Starting the gateway, the door through which users reach the Kubernetes API ...")
    begun = time.monotonic()
    is_free = _is_free(PORT)
    gateway = await Gateway.start(platform, folder, configuration={"listening": {"port": PORT}} if is_free else None)
    why = "" if is_free else f" (something else has port {PORT} here)"
    say(f"   ready after {time.monotonic() - begun:.0f} s: {gateway.url}{why}")
    return gateway


def through(user: str) -> str:
    """Return what *user* is called who goes through the gateway."""
    return f"{user}@gateway"


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _namespaces(tour: Tour) -> None:
    tour.step("RBAC can't list a part: at the API server, alice may see no list of namespaces at all.")
    await tour.refused("alice", "get", "namespaces", because="Forbidden")
    tour.step("Through the gateway she sees hers, and bob his; nothing but the server's address is different.")
    await tour.lists(through("alice"), "get", "namespaces", names=OIL)
    await tour.lists(through("bob"), "get", "namespaces", names=GAS)


async def _across(tour: Tour, classes: Path) -> None:
    tour.step("All namespaces means all of hers; the platform decides what else is shown, here one class of two.")
    await tour.lists(through("alice"), "get", "pods", "-A", names=("oil-production",))
    await tour.do("admin", "apply", "-f", str(classes))
    await tour.shows(
        "get",
        "storageclasses",
        who=through("alice"),
        what="alice sees the class of the rule",
        expect=lambda found: [item["metadata"]["name"] for item in found["items"]] == ["fast"],
    )
    await tour.lists(through("alice"), "get", "storageclasses", names=("fast",))


async def _refusals(tour: Tour) -> None:
    tour.step("Clients that ask first what they may do get true answers; what is bob's is not there; --as is off.")
    await tour.do(through("alice"), "auth", "can-i", "list", "namespaces")
    await tour.refused(through("alice"), "auth", "can-i", "create", "storageclasses", because="no")
    await tour.refused(through("alice"), "get", "namespace", "gas-production", because="not found")
    await tour.refused(through("alice"), "get", "namespaces", "--as=bob", because="turned off")


async def _watch(tour: Tour, watch: Watch) -> None:
    await watch.sees("ADDED", *GAS)
    invitation = ("rolebinding", "guests", "-n", OIL[0])
    await tour.do(through("alice"), "create", *invitation, "--clusterrole=view", "--user=bob")
    await watch.sees("ADDED", OIL[0])
    await tour.do(through("alice"), "delete", *invitation)
    await watch.sees("DELETED", OIL[0])


async def _lock(tour: Tour, gateway: Gateway, watch: Watch) -> None:
    tour.step("The platform engineer locks bob out, by three words in the gateway's configuration file.")
    gateway.configuration["locks"] = {"users": ["bob"]}
    gateway.write_configuration()
    await watch.ends(within_seconds=MOST_LOCK_SECONDS)
    await tour.refused(through("bob"), "get", "namespaces", because="locked")


async def _audit(tour: Tour, gateway: Gateway) -> None:
    tour.step("All of it is on record: whose watch was ended and why, and who was refused.")
    found: list[dict[str, Any]] = []

    async def are_written() -> bool:
        # The data plane writes its records once in a while.
        records = [json.loads(line) for line in gateway.audit_file.read_text().splitlines()]
        found[:] = [each for each in records if each.get("reason") == "Locked"]
        return {each["stage"] for each in found} >= {"Ended", "Complete"}

    await tour.until(are_written, "records of the lock")
    for record in found:
        say(f"     {json.dumps(_shown(record))}")
    tour.check("a record each")


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] if key != "user" else record[key]["name"] for key in SHOWN if record.get(key)}

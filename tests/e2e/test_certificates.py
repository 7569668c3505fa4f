"""Admission's certificate: rotated without a lost request, from files, from cert-manager, and wrong (13.19)."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import CONFIGURATIONS, MUTATING_WEBHOOKS, SECRETS, SERVICES, VALIDATING_WEBHOOKS
from tenantry.testing.breakable import Breakable, readiness
from tenantry.testing.load import steady
from tenantry.testing.plain import Plain, any_object, pod, refused, team
from tenantry.testing.platform import free_ports
from tenantry.testing.world import World

NAMESPACE = "capsule-system"
SECRET = "capsule-tls"
NEVER = {"imagePullPolicies": ["Never"]}
ALWAYS = {"imagePullPolicy": "Always"}
BY_CERT_MANAGER = {"cert-manager.io/certificate-name": "capsule-webhook"}
INJECTED = {"cert-manager.io/inject-ca-from": "capsule-system/capsule-webhook"}


async def served(port: int) -> str:
    """Return the PEM of the certificate that is served at *port*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(der).strip()


async def becomes(world: World, port: int, pem: str) -> None:
    """Wait until *pem* is what is served at *port*."""

    async def attempt() -> bool:
        return await served(port) == pem.strip()

    await world.eventually(attempt)


async def secret(world: World, name: str = SECRET) -> dict[str, str]:
    """Return what the Secret holds, decoded."""
    found = await world.admin.get(SECRETS, name, NAMESPACE)
    return {key: b64decode(value).decode() for key, value in (found.data or {}).items()}


async def bundles(world: World) -> set[str]:
    """Return every CA bundle of the two configurations, decoded."""
    return {
        b64decode(entry["clientConfig"].get("caBundle", "")).decode()
        for kind in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)
        for stored in await world.listed(kind)
        for entry in stored["webhooks"]
    }


def port_of(breakable: Breakable) -> int:
    """Return the port of the installation's own admission."""
    return urlsplit(breakable.platform.settings.webhook_url or "").port or 443


async def test_everything_about_the_certificate_is_lost_and_no_request_is(
    breakable: Breakable, breakable_world: World
) -> None:
    """Both Secrets deleted under load, one after the other and at once: a new CA is trusted before it is relied on.

    The last time the operator is killed in the middle of it.
    """
    world, port = breakable_world, port_of(breakable)
    team_ = await team(world, {"serviceOptions": {"allowedServices": {"nodePort": False}}})

    async def request(number: int) -> object:
        spec = {"type": "ExternalName", "externalName": "web.example.com"}
        body = {"metadata": {"name": f"web-{number}"}, "spec": spec}
        return await team_.owner.client.create(SERVICES, body, team_.namespace, dry_run=True)

    async with steady(request, per_second=100) as load:
        for lost in ((SECRET,), (f"{SECRET}-ca",), (SECRET, f"{SECRET}-ca")):
            before = await served(port)
            for name in lost:
                await world.admin.delete(SECRETS, name, NAMESPACE)
            if len(lost) > 1:
                await breakable.restart(breakable.platform.operator, kill=True)

            async def is_new(before: str = before) -> str | None:
                try:
                    held = await secret(world)
                except NotFoundError:
                    return None
                return held["tls.crt"] if held["tls.crt"].strip() not in {"", before} else None

            await becomes(world, port, await world.eventually(is_new))
            await load.more(50)
    assert load.failures == []


async def test_files_are_taken_as_they_are_replaced(
    breakable: Breakable, breakable_world: World, tmp_path: Path
) -> None:
    """--webhook-cert-path: a new pair is served without a restart; half of one is not, and changes nothing."""
    world, platform = breakable_world, breakable.platform
    (port,) = free_ports(1)
    ca, new_ca = trustme.CA(), trustme.CA()
    first, second = ca.issue_cert("127.0.0.1"), new_ca.issue_cert("127.0.0.1")
    write(tmp_path, ca, first)
    replica = platform.another(platform.admission, f"--webhook-port={port}", f"--webhook-cert-path={tmp_path}")
    await platform.run(replica)
    try:
        await platform.wait_part(replica)
        assert await served(port) == leaf(first)

        (tmp_path / "tls.key").write_bytes(second.private_key_pem.bytes())
        await world.eventually(lambda: told(breakable.logged(replica), "certificate.not_loaded"))
        assert (await served(port), (await readiness(replica))[0]) == (leaf(first), 200)

        write(tmp_path, new_ca, second)
        await becomes(world, port, leaf(second))
        assert (await readiness(replica))[0] == 200
    finally:
        await platform.stop_part(replica)


async def told(log: str, event: str) -> bool:
    """Return whether *event* was logged."""
    return event in log


def write(folder: Path, ca: trustme.CA, pair: trustme.LeafCert) -> None:
    """Write the three files, the last as a kubelet or certbot may: not at once."""
    (folder / "ca.crt").write_bytes(ca.cert_pem.bytes())
    (folder / "tls.key").write_bytes(pair.private_key_pem.bytes())
    (folder / "tls.crt").write_bytes(pair.cert_chain_pems[0].bytes())


def leaf(pair: trustme.LeafCert) -> str:
    """Return the PEM of the certificate itself."""
    return pair.cert_chain_pems[0].bytes().decode().strip()


async def test_cert_manager_keeps_the_secret_and_the_bundles(breakable: Breakable, breakable_world: World) -> None:
    """Its Secret is served and left alone; the CAs that its injector writes stay when entries change."""
    world, port = breakable_world, port_of(breakable)
    admin = Plain(world.admin)
    ca, next_ca = trustme.CA(), trustme.CA()
    pair = ca.issue_cert("127.0.0.1")
    async with annotated(world, INJECTED):
        # As the injector would: both, before the certificate changes.
        await inject(world, await secret(world), ca)
        await put(admin, ca.cert_pem.bytes(), pair)
        await becomes(world, port, leaf(pair))

        await inject(world, {"ca.crt": ca.cert_pem.bytes().decode()}, next_ca)
        wanted = await bundles(world)
        team_ = await team(world, NEVER)
        await refused(team_.owner.create(pod(team_.namespace, "wrong", container=ALWAYS)), "Never")
        # A new tenant is in the entries' selectors: they were written since.
        assert team_.tenant in str(await world.listed(VALIDATING_WEBHOOKS))
        assert await bundles(world) == wanted
        assert (await secret(world))["tls.crt"].strip() == leaf(pair)
    # The installation's own again: its CA beside what is served, then its own certificate.
    await world.admin.delete(SECRETS, SECRET, NAMESPACE)

    async def is_own() -> bool:
        held = await secret(world)
        return bool(held["tls.crt"]) and held["tls.crt"].strip() == await served(port)

    await world.eventually(is_own)


@asynccontextmanager
async def annotated(world: World, annotations: Mapping[str, str]) -> AsyncIterator[None]:
    """Have both configurations carry *annotations* in the body."""

    async def say(values: Mapping[str, str | None]) -> None:
        side = {"annotations": values}
        patch = {"spec": {"admission": {"mutating": side, "validating": side}}}
        await world.admin.patch(CONFIGURATIONS, "default", patch=patch, kind="merge")

    await say(annotations)
    try:
        yield
    finally:
        await say(dict.fromkeys(annotations))


async def inject(world: World, held: Mapping[str, str], ca: trustme.CA) -> None:
    """Have every entry trust *ca* beside what it should trust already."""
    bundle = b64encode(held["ca.crt"].encode() + ca.cert_pem.bytes()).decode()

    async def attempt() -> bool:
        for kind in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
            for stored in await world.listed(kind):
                assert INJECTED.items() <= stored["metadata"].get("annotations", {}).items()
                for entry in stored["webhooks"]:
                    entry["clientConfig"]["caBundle"] = bundle
                await world.admin.request("PUT", kind.path(None, stored["metadata"]["name"]), body=stored)
        return True

    await world.eventually(attempt)


async def put(admin: Plain, authorities: bytes, pair: trustme.LeafCert) -> None:
    """Replace the Secret by one of the shape that cert-manager makes."""
    data = {
        "ca.crt": authorities,
        "tls.crt": pair.cert_chain_pems[0].bytes(),
        "tls.key": pair.private_key_pem.bytes(),
    }
    body = any_object(
        "v1",
        "Secret",
        SECRET,
        NAMESPACE,
        metadata={"annotations": BY_CERT_MANAGER},
        type="kubernetes.io/tls",
        data={key: b64encode(value).decode() for key, value in data.items()},
    )
    await admin.update(body)


@asynccontextmanager
async def without_operator(breakable: Breakable) -> AsyncIterator[None]:
    """Nobody repairs anything in the body."""
    platform = breakable.platform
    await platform.stop_part(platform.operator)
    try:
        yield
    finally:
        await platform.run(platform.operator)
        await platform.wait_part(platform.operator)


async def says(world: World, part: Any, text: str) -> None:
    """Wait until *part* is not ready, for a reason with *text* in it."""

    async def attempt() -> bool:
        status, told = await readiness(part)
        assert text in told, told
        return status == 503

    await world.eventually(attempt)


async def test_a_replica_without_a_certificate_that_is_trusted_is_not_ready(
    breakable: Breakable, breakable_world: World
) -> None:
    """One that starts before the Secret exists waits for it; one whose CA is not the published one says so."""
    world, platform = breakable_world, breakable.platform
    admin = Plain(world.admin)
    async with without_operator(breakable):
        stored = await admin.get(any_object("v1", "Secret", SECRET, NAMESPACE))
        await admin.delete(stored)
        await platform.stop_part(platform.admission)
        await platform.run(platform.admission)
        await says(world, platform.admission, f"Secret {SECRET} does not exist")
    await platform.wait_part(platform.admission)

    async with without_operator(breakable):
        stored = await admin.get(any_object("v1", "Secret", SECRET, NAMESPACE))
        foreign = b64encode(trustme.CA().cert_pem.bytes()).decode()
        await admin.patch(stored, {"data": {"ca.crt": foreign}})
        await says(world, platform.admission, "not trusted by its own authority")
    await platform.wait_part(platform.admission)
    # The foreign CA stays beside ours for a while: it might be what somebody serves.
    own = (await secret(world, f"{SECRET}-ca"))["tls.crt"]

    async def is_trusted() -> bool:
        found = await bundles(world)
        return all(own in bundle for bundle in found)

    await world.eventually(is_trusted)

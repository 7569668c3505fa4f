"""The gateway's certificate is made, kept in time, and left alone where it is somebody else's."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

from cryptography import x509

from tenantry.kube.errors import NotFoundError
from tenantry.kube.resources import SECRETS

SYSTEM = "capsule-system"
HOSTS = ("capsule-proxy.capsule-system.svc", "10.0.0.1")


async def values(world: Any, name: str) -> dict[str, str]:
    """Return what is in the Secret; nothing where it is not there."""
    try:
        secret = await world.admin.get(SECRETS, name, SYSTEM)
    except NotFoundError:
        return {}
    return {key: b64decode(value).decode() for key, value in (secret.data or {}).items()}


def names_of(pem: str) -> set[str]:
    extensions = x509.load_pem_x509_certificate(pem.encode()).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


async def test_it_is_made_with_all_names_and_renewed_by_the_same_ca(start: Any, world: Any, clock_ahead: Any) -> None:
    name = world.unique("gateway")

    async def changed(before: str) -> bool:
        now = (await values(world, name)).get("tls.crt", before)
        return now != before

    async with start(gateway_secret=name, gateway_hosts=HOSTS):
        await world.eventually(lambda: changed(""))
    first = await values(world, name)
    async with start(gateway_secret=name, gateway_hosts=(*HOSTS, "api.example.com")):
        await world.eventually(lambda: changed(first["tls.crt"]))
    second = await values(world, name)
    async with start(
        gateway_secret=name, gateway_hosts=(*HOSTS, "api.example.com"), clock=clock_ahead(timedelta(days=178))
    ):
        await world.eventually(lambda: changed(second["tls.crt"]))
    third = await values(world, name)

    assert sorted(first) == ["ca", "ca.crt", "tls.crt", "tls.key"]
    assert names_of(first["tls.crt"]) == {*HOSTS}
    assert names_of(second["tls.crt"]) == names_of(third["tls.crt"]) == {*HOSTS, "api.example.com"}
    for each in (first, second, third):
        assert each["ca"] == each["ca.crt"] == first["ca"]
        certificate = x509.load_pem_x509_certificate(each["tls.crt"].encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(each["ca"].encode()))
    assert sorted(await values(world, f"{name}-ca")) == ["tls.crt", "tls.key"]


async def test_a_secret_of_somebody_else_is_left_alone(start: Any, world: Any) -> None:
    """As after a move from capsule-proxy's chart, or with a certificate of one's own."""
    name, other = world.unique("gateway"), world.unique("gateway")
    data = {"tls.crt": b64encode(b"theirs").decode(), "tls.key": b64encode(b"key").decode()}
    body = {"metadata": {"name": name, "namespace": SYSTEM}, "type": "kubernetes.io/tls", "data": data}
    await world.admin.create(SECRETS, body)

    async with start(gateway_secret=name, gateway_hosts=HOSTS):
        await world.admin.update(SECRETS, body | {"data": data | {"ca.crt": b64encode(b"ca").decode()}})
    async with start(gateway_secret=other, gateway_hosts=HOSTS):
        await world.eventually(lambda: values(world, other))

    assert await values(world, name) == {"tls.crt": "theirs", "tls.key": "key", "ca.crt": "ca"}
    assert await values(world, f"{name}-ca") == {}

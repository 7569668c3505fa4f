"""The serving certificate, over real TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tenantry.admission import certificates
from tenantry.admission.certificates import (
    CertificateFiles,
    KeyPair,
    ServingCertificate,
    follow_files,
    key_pair_of,
    take_secret,
)
from tenantry.api.core import Secret
from tenantry.api.meta import ObjectMeta
from tenantry.foundation.errors import ConfigurationError


def pair(authority: trustme.CA, *names: str, trusted: bytes | None = None, hours: float = 1) -> KeyPair:
    issued = authority.issue_cert(*(names or ("localhost",)), not_after=datetime.now(UTC) + timedelta(hours=hours))
    return KeyPair(
        b"".join(one.bytes() for one in issued.cert_chain_pems),
        issued.private_key_pem.bytes(),
        authority.cert_pem.bytes() if trusted is None else trusted,
    )


async def served_by(serving: ServingCertificate, *authorities: trustme.CA) -> str:
    """Return the common name or SAN that a client which trusts *authorities* is shown."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=serving.context)
    port = listener.sockets[0].getsockname()[1]
    context = ssl.create_default_context()
    context.check_hostname = False
    for authority in authorities:
        authority.configure_trust(context)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        shown = writer.get_extra_info("peercert")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    finally:
        listener.close()
        await listener.wait_closed()
    return str(shown["subjectAltName"][0][1])


async def test_a_new_pair_serves_new_connections_without_a_restart() -> None:
    old, new, serving = trustme.CA(), trustme.CA(), ServingCertificate()
    serving.take(pair(old, "old.example"))
    first = await served_by(serving, old)
    serving.take(pair(new, "new.example"))

    assert (first, await served_by(serving, new), serving.problem) == ("old.example", "new.example", None)
    with pytest.raises(ssl.SSLError):
        await served_by(serving, old)


async def test_a_pair_that_does_not_work_leaves_the_one_in_use() -> None:
    authority, serving = trustme.CA(), ServingCertificate()
    good, other = pair(authority, "good.example"), pair(authority)
    before = serving.problem
    serving.take(good)
    serving.take(KeyPair(other.certificate, good.key, good.authorities))
    serving.take(KeyPair(b"no PEM", b"neither"))
    serving.refuse("gone")

    assert before == "there is no serving certificate yet"
    assert (serving.problem, await served_by(serving, authority)) == (None, "good.example")


def test_readiness_wants_a_certificate_that_its_own_authority_signed() -> None:
    authority, other = trustme.CA(), trustme.CA()

    def problem(one: KeyPair) -> str | None:
        serving = ServingCertificate()
        serving.take(one)
        return serving.problem

    both = authority.cert_pem.bytes() + other.cert_pem.bytes()
    assert [
        problem(pair(authority)),
        problem(pair(authority, trusted=both)),
        problem(pair(authority, trusted=b"")),
    ] == [None, None, None]
    assert "not trusted by its own authority" in (problem(pair(authority, trusted=other.cert_pem.bytes())) or "")
    assert "expired" in (problem(pair(authority, hours=-1)) or "")
    assert "not PEM" in (problem(pair(authority, trusted=b"rubbish")) or "")


async def test_a_secret_may_come_later() -> None:
    authority, serving = trustme.CA(), ServingCertificate()
    take_secret(None, serving, name="capsule-tls")
    missing = serving.problem
    good = pair(authority)
    data = {"tls.crt": good.certificate, "tls.key": good.key, "ca.crt": good.authorities}
    secret = Secret(
        metadata=ObjectMeta(name="capsule-tls", namespace="capsule-system"),
        data={key: base64.b64encode(value).decode() for key, value in data.items()},
    )
    take_secret(secret, serving, name="capsule-tls")
    async with asyncio.timeout(1):
        await serving.wait_loaded()

    assert (missing, serving.problem, key_pair_of(secret)) == ("Secret capsule-tls does not exist", None, good)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "has no tls.crt"),
        ({"tls.crt": "QQ=="}, "has no tls.key"),
        ({"tls.crt": "QQ==", "tls.key": "*"}, "not base64"),
    ],
)
def test_a_secret_that_holds_no_pair_is_named(data: dict[str, str], words: str) -> None:
    secret = Secret(metadata=ObjectMeta(name="capsule-tls", namespace="capsule-system"), data=data)

    with pytest.raises(ConfigurationError, match=f"Secret capsule-system/capsule-tls .*{words}"):
        key_pair_of(secret)


async def test_files_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a folder that is still empty."""
    monkeypatch.setattr(certificates, "FILE_CHECK_SECONDS", 0.01)
    first, second, serving = trustme.CA(), trustme.CA(), ServingCertificate()
    files = CertificateFiles(folder=tmp_path)

    def write(one: KeyPair) -> None:
        (tmp_path / "tls.crt").write_bytes(one.certificate)
        (tmp_path / "tls.key").write_bytes(one.key)
        (tmp_path / "ca.crt").write_bytes(one.authorities)

    async def until(authority: trustme.CA, name: str) -> None:
        async with asyncio.timeout(10):
            while True:
                with suppress(ssl.SSLError, OSError):
                    if await served_by(serving, authority) == name:
                        return
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow_files(files, serving))
        await asyncio.sleep(0)
        assert "cannot read the serving certificate" in (serving.problem or "")
        write(pair(first, "first.example"))
        await until(first, "first.example")
        write(pair(second, "second.example"))
        await until(second, "second.example")
        following.cancel()

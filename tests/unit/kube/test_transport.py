"""Requests over a real connection to a small server that misbehaves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig
from tenantry.kube.credentials import StaticToken, TokenFile
from tenantry.kube.errors import (
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
    UndecodableError,
    UnreachableError,
)
from tenantry.kube.resources import CONFIG_MAPS
from tenantry.kube.tls import ClientCertificate, Pem, TlsContexts, TlsSettings

Serve = Callable[..., Any]
OBJECT = {"metadata": {"name": "a", "namespace": "n"}}


class _Script:
    """Answers one request after the other from a list; a None cuts the connection."""

    def __init__(self, *answers: web.Response | None) -> None:
        self.left = list(answers)
        self.seen: list[tuple[str, str, str | None]] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.seen.append((request.method, request.path_qs, request.headers.get("Authorization")))
        answer = self.left.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer


def _ok() -> web.Response:
    return web.json_response(OBJECT)


def _status(code: int, **headers: str) -> web.Response:
    return web.json_response({"message": "no", "code": code}, status=code, headers=headers)


async def test_a_busy_server_is_asked_again_for_every_verb(serve: Serve) -> None:
    script = _Script(_status(429), _ok(), _status(503, **{"Retry-After": "0"}), _ok())
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        await client.get(CONFIG_MAPS, "a", "n")
        await client.create(CONFIG_MAPS, OBJECT, "n")

    assert [method for method, _, _ in script.seen] == ["GET", "GET", "POST", "POST"]


async def test_a_cut_connection_is_tried_again_only_where_twice_is_as_good_as_once(serve: Serve) -> None:
    script = _Script(None, None, _ok(), None, None, _ok(), None)
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        await client.get(CONFIG_MAPS, "a", "n")
        await client.apply(CONFIG_MAPS, OBJECT, field_manager="m")
        with pytest.raises(UnreachableError):
            await client.create(CONFIG_MAPS, OBJECT, "n")

    assert len(script.seen) == 7


async def test_the_last_refusal_is_raised(serve: Serve) -> None:
    script = _Script(*(_status(429) for _ in range(5)))
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        with pytest.raises(TooManyRequestsError, match="no"):
            await client.get(CONFIG_MAPS, "a", "n")

    assert script.left == []


async def test_a_write_that_failed_inside_the_server_is_not_repeated(serve: Serve) -> None:
    script = _Script(_status(500))
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        with pytest.raises(ServerError):
            await client.apply(CONFIG_MAPS, OBJECT, field_manager="m")


async def test_a_rotated_token_is_picked_up(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    script = _Script(_ok(), _status(401), _ok(), _status(401), _status(401))
    config = TokenFile(file)
    async with serve(script) as url, Client(ClusterConfig(server=url, credentials=config)) as client:
        await client.get(CONFIG_MAPS, "a", "n")
        file.write_text("two")
        await client.get(CONFIG_MAPS, "a", "n")
        with pytest.raises(UnauthorizedError):
            await client.get(CONFIG_MAPS, "a", "n")

    assert [token for _, _, token in script.seen] == ["Bearer one", "Bearer one", *["Bearer two"] * 3]


async def test_a_fixed_token_is_sent_once(serve: Serve) -> None:
    script = _Script(_status(401))
    config = StaticToken("t")
    async with serve(script) as url, Client(ClusterConfig(server=url, credentials=config)) as client:
        with pytest.raises(UnauthorizedError):
            await client.get(CONFIG_MAPS, "a", "n")


async def test_a_server_that_is_silent_runs_into_the_time_limit(serve: Serve) -> None:
    async def silent(_: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        return _ok()

    async with serve(silent) as url, Client(ClusterConfig(server=url), timeout_seconds=0.05) as client:
        with pytest.raises(UnreachableError, match="no answer in time") as caught:
            await client.get(CONFIG_MAPS, "a", "n")

    assert caught.value.timed_out


async def test_nobody_listening_is_unreachable() -> None:
    async with Client(ClusterConfig(server="http://127.0.0.1:9")) as client:
        with pytest.raises(UnreachableError, match=r"GET http://127\.0\.0\.1:9/api/v1") as caught:
            await client.get(CONFIG_MAPS, "a", "n")

    assert not caught.value.was_sent


async def test_an_answer_that_is_no_object_is_undecodable(serve: Serve) -> None:
    script = _Script(web.Response(text="<html>"), web.json_response({"data": 5}))
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        for _ in range(2):
            with pytest.raises(UndecodableError, match="configmaps"):
                await client.get(CONFIG_MAPS, "a", "n")


async def test_the_observer_sees_each_answer(serve: Serve) -> None:
    seen: list[tuple[str, str, int]] = []
    script = _Script(_status(429), _ok(), _ok(), None)

    def observe(verb: str, plural: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append((verb, plural, status))

    async with serve(script) as url, Client(ClusterConfig(server=url), observer=observe) as client:
        await client.get(CONFIG_MAPS, "a", "n")
        await client.apply(CONFIG_MAPS, OBJECT, field_manager="m")
        with pytest.raises(UnreachableError):
            await client.create(CONFIG_MAPS, OBJECT, "n")

    assert seen == [
        ("get", "configmaps", 429),
        ("get", "configmaps", 200),
        ("apply", "configmaps", 200),
        ("create", "configmaps", 0),
    ]


async def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """It could carry the token to another host."""
    script = _Script(web.Response(status=302, headers={"Location": "http://elsewhere.example"}))
    async with serve(script) as url, Client(ClusterConfig(server=url)) as client:
        with pytest.raises(Exception, match="302"):
            await client.get(CONFIG_MAPS, "a", "n")


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(ConfigurationError, match="async context manager"):
        await Client(ClusterConfig(server="http://a")).get(CONFIG_MAPS, "a", "n")


@asynccontextmanager
async def _tls_server(ca: trustme.CA, name: str) -> Any:
    async def whoami(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert") or {}
        names = [value for kind, value in peer.get("subjectAltName", ()) if kind == "DNS"]
        return web.json_response({"metadata": {"name": ",".join(names)}})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    runner = web.ServerRunner(web.Server(whoami))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _client_certificate(ca: trustme.CA, name: str) -> ClientCertificate:
    issued = ca.issue_cert(name)
    return ClientCertificate(
        Pem(data=b"".join(blob.bytes() for blob in issued.cert_chain_pems)), Pem(data=issued.private_key_pem.bytes())
    )


async def _name_seen(url: str, tls: TlsSettings) -> str:
    async with Client(ClusterConfig(server=url, tls=tls)) as client:
        return (await client.get(CONFIG_MAPS, "a", "n")).metadata.name


def _left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


async def test_servers_are_verified_and_client_certificates_shown(temporary_folder: Path) -> None:
    ca = trustme.CA()
    trusted, certificate = Pem(data=ca.cert_pem.bytes()), _client_certificate(ca, "me.example.org")

    async with _tls_server(ca, "127.0.0.1") as url:
        assert await _name_seen(url, TlsSettings(ca=trusted)) == ""
        assert await _name_seen(url, TlsSettings(ca=trusted, certificate=certificate)) == "me.example.org"
        assert await _name_seen(url, TlsSettings(is_insecure=True)) == ""
        with pytest.raises(UnreachableError, match="certificate"):
            await _name_seen(url, TlsSettings(ca=Pem(data=trustme.CA().cert_pem.bytes())))

    assert _left_in(temporary_folder) == []  # The key does not stay on the disk.


async def test_the_name_to_verify_may_differ_from_the_url() -> None:
    ca = trustme.CA()
    trusted = Pem(data=ca.cert_pem.bytes())

    async with _tls_server(ca, "inside.example.org") as url:
        assert await _name_seen(url, TlsSettings(ca=trusted, server_name="inside.example.org")) == ""
        with pytest.raises(UnreachableError):
            await _name_seen(url, TlsSettings(ca=trusted))


def test_a_context_is_made_once_and_again_when_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(trustme.CA().cert_pem.bytes())
    contexts = TlsContexts(TlsSettings(ca=Pem(file=file)))
    first = contexts.current()
    file.write_bytes(trustme.CA().cert_pem.bytes())

    assert contexts.current() is first
    monkeypatch.setattr("tenantry.kube.tls.RECHECK_SECONDS", 0.0)
    second = contexts.current()
    assert second is not first
    assert contexts.current() is second


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TlsSettings(ca=Pem(file=Path("/nowhere/ca.crt"))), "/nowhere/ca.crt: No such file"),
        (TlsSettings(ca=Pem(data=b"nonsense")), "not PEM"),
        (TlsSettings(certificate=ClientCertificate(Pem(data=b"x"), Pem(data=b"y"))), "cannot be used"),
    ],
)
def test_certificates_that_make_no_sense_are_named(settings: TlsSettings, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TlsContexts(settings).current()

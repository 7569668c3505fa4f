"""Credentials that are read, run for, or renewed."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import pytest
import yaml
from aiohttp import web

from tenantry.foundation.codec import decode_any, encode
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.credentials import BasicAuth, Grant, RefreshingSource, StaticToken, TokenFile
from tenantry.kube.errors import CredentialsError
from tenantry.kube.exec_plugin import ExecPlugin
from tenantry.kube.oidc import OidcProvider
from tenantry.kube.tls import ClientCertificate, Pem

V1 = "client.authentication.k8s.io/v1"


async def test_fixed_credentials_are_not_tried_twice() -> None:
    for credentials, header in (
        (StaticToken("t"), "Bearer t"),
        (BasicAuth("me", "p:w"), "Basic " + base64.b64encode(b"me:p:w").decode()),
    ):
        source = credentials.source()
        grant = await source.grant()
        assert (grant, source.reject(grant)) == (Grant(header), False)


async def test_a_token_file_is_read_again_when_the_server_refuses_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    source = TokenFile(file).source()
    first = await source.grant()
    file.write_text("two\n")

    assert await source.grant() is first
    assert source.reject(first)
    assert await source.grant() == Grant("Bearer two")


@pytest.mark.parametrize("content", [None, "", "\n"])
async def test_a_token_file_without_a_token_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)

    with pytest.raises(CredentialsError, match=r"token file .*/token"):
        await TokenFile(tmp_path / "token").source().grant()


async def test_a_grant_is_obtained_once_for_all_who_wait_and_again_when_it_expired() -> None:
    obtained = 0

    async def obtain() -> tuple[Grant, float | None]:
        nonlocal obtained
        await asyncio.sleep(0)
        obtained += 1
        return Grant(f"Bearer {obtained}"), None if obtained == 1 else 0.0

    source = RefreshingSource(obtain)
    grants = await asyncio.gather(*(source.grant() for _ in range(5)))
    assert grants == [Grant("Bearer 1")] * 5

    for grant in grants:  # All five met a 401: that is one new grant, not five.
        source.reject(grant)
    second = await source.grant()
    source.reject(grants[0])
    assert (second, obtained) == (Grant("Bearer 2"), 2)

    assert await source.grant() == Grant("Bearer 3")


def _plugin(folder: Path, answer: object, *, version: str = V1, **more: Any) -> ExecPlugin:
    """Return a plug-in that prints *answer*, counts its runs and keeps what it was told."""
    script = folder / "plugin.py"
    script.write_text(
        f"import os, sys\nopen({str(folder / 'runs')!r}, 'a').write('x')\n"
        f"open({str(folder / 'info')!r}, 'w').write(os.environ['KUBERNETES_EXEC_INFO'] + os.environ.get('EXTRA', ''))\n"
        f"sys.stdout.write({answer if isinstance(answer, str) else encode(answer).decode()!r})\n"
    )
    return ExecPlugin(command=sys.executable, args=(str(script),), api_version=version, **more)


def _runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


def _credential(version: str = V1, **status: object) -> dict[str, object]:
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


@pytest.mark.parametrize("version", [V1, "client.authentication.k8s.io/v1beta1"])
async def test_a_plugin_is_told_what_it_needs_and_its_token_is_kept(tmp_path: Path, version: str) -> None:
    plugin = _plugin(tmp_path, _credential(version, token="t"), version=version, cluster_info=b'{"server":"https://a"}')
    source = plugin.source()

    assert [await source.grant(), await source.grant()] == [Grant("Bearer t")] * 2
    assert _runs(tmp_path) == 1
    assert decode_any((tmp_path / "info").read_bytes()) == {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://a"}},
    }


async def test_a_plugin_gets_its_variables(tmp_path: Path) -> None:
    await _plugin(tmp_path, _credential(token="t"), env=(("EXTRA", "more"),)).source().grant()

    assert (tmp_path / "info").read_text().endswith("more")


@pytest.mark.parametrize(("seconds", "runs"), [(3600, 1), (-1, 2)])
async def test_a_plugin_runs_again_when_its_token_expired(tmp_path: Path, seconds: int, runs: int) -> None:
    expiry = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    source = _plugin(tmp_path, _credential(token="t", expirationTimestamp=expiry)).source()

    await source.grant()
    await source.grant()

    assert _runs(tmp_path) == runs


async def test_a_plugin_runs_again_when_the_server_refuses_its_token(tmp_path: Path) -> None:
    source = _plugin(tmp_path, _credential(token="t")).source()

    assert source.reject(await source.grant())
    await source.grant()

    assert _runs(tmp_path) == 2


async def test_a_plugin_may_return_a_certificate(tmp_path: Path) -> None:
    plugin = _plugin(tmp_path, _credential(clientCertificateData="CERT", clientKeyData="KEY"))

    assert await plugin.source().grant() == Grant(None, ClientCertificate(Pem(data=b"CERT"), Pem(data=b"KEY")))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("nonsense", "no ExecCredential"),
        (_credential("client.authentication.k8s.io/v1beta1", token="t"), "answered in"),
        ({"apiVersion": V1}, "no status"),
        (_credential(), "neither a token nor a certificate"),
        (_credential(token="t", expirationTimestamp="soon"), "expirationTimestamp 'soon'"),
    ],
)
async def test_a_plugin_that_answers_nonsense_is_named(tmp_path: Path, answer: object, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        await _plugin(tmp_path, answer).source().grant()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (ExecPlugin(command="no-such-program", install_hint="install it"), "no-such-program: No such.*\ninstall it"),
        (ExecPlugin(command="false"), "exit code 1"),
        (ExecPlugin(command="true", interactive_mode="Always"), "needs a terminal"),
    ],
)
async def test_a_plugin_that_cannot_run_says_what_to_do(plugin: ExecPlugin, message: str) -> None:
    with pytest.raises(CredentialsError, match=message):
        await plugin.source().grant()


def test_a_plugin_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="v1alpha1"):
        ExecPlugin(command="x", api_version="client.authentication.k8s.io/v1alpha1").source()


def _jwt(expires: float, name: str = "") -> str:
    claims = base64.urlsafe_b64encode(encode({"exp": expires, "sub": name})).decode().rstrip("=")
    return f"e30.{claims}.x"


def _provider_file(folder: Path) -> Path:
    file = folder / "config"
    user = {"auth-provider": {"name": "oidc", "config": {"client-id": "c", "id-token": "old"}}}
    file.write_text(yaml.safe_dump({"users": [{"name": "u", "user": user}, {"name": "v", "user": {}}]}))
    return file


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_a_good_id_token_is_used_as_it_is() -> None:
    token = _jwt(time() + 3600)
    provider = OidcProvider(issuer_url="http://127.0.0.1:9", client_id="c", id_token=token)

    assert await provider.source().grant() == Grant(f"Bearer {token}")


@pytest.mark.parametrize("is_expired", [True, False], ids=["expired", "refused"])
async def test_an_id_token_is_renewed_and_stored(
    tmp_path: Path, serve: Callable[..., Any], *, is_expired: bool
) -> None:
    new, forms = _jwt(time() + 3600, "new"), []

    async def identity_provider(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/.well-known/openid-configuration"):
            return web.json_response({"token_endpoint": f"http://{request.host}/token"})
        forms.append(dict(await request.post()))
        return web.json_response({"id_token": new, "refresh_token": "r2"})

    async with serve(identity_provider) as url:
        file = _provider_file(tmp_path)
        old = _jwt(time() - 1 if is_expired else time() + 3600)
        source = OidcProvider(
            issuer_url=url, client_id="c", client_secret="s", id_token=old, refresh_token="r1", file=file, user="u"
        ).source()
        if not is_expired:
            source.reject(await source.grant())
        assert await source.grant() == Grant(f"Bearer {new}")

    assert forms == [{"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "c", "client_secret": "s"}]
    stored = yaml.safe_load(file.read_text())["users"]
    assert stored == [
        {
            "name": "u",
            "user": {
                "auth-provider": {
                    "name": "oidc",
                    "config": {"client-id": "c", "id-token": new, "refresh-token": "r2"},
                }
            },
        },
        {"name": "v", "user": {}},
    ]
    assert _modes(tmp_path) == {"config": 0o600}


@pytest.mark.parametrize(("status", "body"), [(400, {}), (200, {})])
async def test_a_token_that_cannot_be_renewed_says_so(
    serve: Callable[..., Any], status: int, body: dict[str, str]
) -> None:
    async def identity_provider(request: web.BaseRequest) -> web.Response:
        if request.path.endswith("/.well-known/openid-configuration"):
            return web.json_response({"token_endpoint": f"http://{request.host}/token"})
        return web.json_response(body, status=status)

    async with serve(identity_provider) as url:
        with pytest.raises(CredentialsError, match=url):
            await OidcProvider(issuer_url=url, client_id="c", refresh_token="r").source().grant()


async def test_an_expired_token_without_a_refresh_token_says_so() -> None:
    with pytest.raises(CredentialsError, match="no refresh token"):
        await OidcProvider(issuer_url="http://a", client_id="c", id_token=_jwt(0), user="u").source().grant()

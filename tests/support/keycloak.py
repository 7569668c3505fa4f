"""A real identity provider for tests: Keycloak, from Maven Central, with a realm of users and groups."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import trustme

VERSION: Final = "26.7.3"
REALM: Final = "tenantry"
CLIENT: Final = "kubernetes"
PASSWORD: Final = "secret"
START_SECONDS: Final = 180.0
_OPTIONS: Final = ("--db=dev-mem", "--health-enabled=true", "--features-disabled=admin,account")


def cache_folder() -> Path:
    """Where the built distribution stays between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tenantry" / f"keycloak-{VERSION}"


def provide() -> Path:
    """Return the folder of a built Keycloak; the first call on a machine takes about a minute.

    Whatever is made half stays in a folder of its own, so an interrupted call leaves nothing that looks finished.
    """
    target = cache_folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        _run(
            *("mvn", "-q", "-B", "dependency:copy", "-Dmdep.useBaseVersion=true", f"-DoutputDirectory={work}"),
            f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip",
            cwd=Path(work),
        )
        with zipfile.ZipFile(next(Path(work).glob("*.zip"))) as archive:
            archive.extractall(work)
        made = Path(work) / f"keycloak-{VERSION}"
        for script in (made / "bin").glob("*.sh"):
            script.chmod(0o755)
        _run(str(made / "bin" / "kc.sh"), "build", *_OPTIONS, cwd=made)
        made.rename(target)
    return target


class Keycloak:
    """A running server; an async context manager over :meth:`start`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.issuer = f"https://localhost:{port}/realms/{REALM}"
        self._base = f"https://localhost:{port}"
        self.ca = folder / "ca.pem"

    @classmethod
    async def start(cls, folder: Path) -> Self:
        """Start a server of its own, with the users alice and bob; *folder* holds its state."""
        distribution = await asyncio.to_thread(provide)
        home = folder / "keycloak"
        # A copy of its own: it writes below its home, and runs may be parallel.
        await asyncio.to_thread(shutil.copytree, distribution, home, symlinks=True, copy_function=os.link)
        (home / "data" / "import").mkdir(parents=True)
        (home / "data" / "import" / "realm.json").write_text(json.dumps(realm()))
        _certificates(folder)
        port, management = _free_port(), _free_port()
        log = (folder / "keycloak.log").open("wb")
        process = await asyncio.create_subprocess_exec(
            *(str(home / "bin" / "kc.sh"), "start", "--optimized", "--import-realm"),
            *(f"--hostname=https://localhost:{port}", f"--https-port={port}", "--http-enabled=false"),
            *("--http-host=127.0.0.1", f"--http-management-port={management}"),
            f"--https-certificate-file={folder / 'server.pem'}",
            f"--https-certificate-key-file={folder / 'server.key'}",
            env={
                **os.environ,
                "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
                "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
                "JAVA_OPTS_APPEND": "-Xmx384m -XX:TieredStopAtLevel=1",
            },
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        server = cls(process, port, folder)
        try:
            await server._wait_ready()
        except BaseException:
            await server.stop()
            raise
        return server

    async def stop(self) -> None:
        """End the server and all that it started."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def pause(self) -> None:
        """Have it answer nothing, as a server that is away, until :meth:`resume`."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    async def token(self, user: str, password: str = PASSWORD) -> str:
        """Return an ID token of *user*, by direct grant."""
        form = {"grant_type": "password", "client_id": CLIENT, "username": user, "password": password}
        answer = await self._call("POST", f"{self.issuer}/protocol/openid-connect/token", form | {"scope": "openid"})
        return str(answer["id_token"])

    async def let_tokens_live(self, seconds: int) -> None:
        """Give tokens that are granted from now on so long a life."""
        await self._admin("PUT", "", {"accessTokenLifespan": seconds})

    async def rotate_key(self) -> None:
        """Sign with a new key from now on; the old one stays published."""
        await self._admin(
            "POST",
            "components",
            {
                "name": "rotated",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
            },
        )

    async def withdraw_old_keys(self) -> None:
        """Publish the newest signing key alone."""
        found = await self._admin("GET", "components?type=org.keycloak.keys.KeyProvider")
        for one in found:
            if one["providerId"] == "rsa-generated" and one["name"] != "rotated":
                await self._admin("DELETE", f"components/{one['id']}")

    async def _admin(self, method: str, path: str, body: object = None) -> Any:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        granted = await self._call("POST", f"{self._base}/realms/master/protocol/openid-connect/token", form)
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        url = f"{self._base}/admin/realms/{REALM}/{path}".rstrip("/")
        async with self._session() as session, session.request(method, url, json=body, headers=headers) as response:
            response.raise_for_status()
            return await response.json() if response.content_type == "application/json" else None

    async def _call(self, method: str, url: str, form: dict[str, str]) -> Any:
        async with self._session() as session, session.request(method, url, data=form) as response:
            response.raise_for_status()
            return await response.json()

    def _session(self) -> aiohttp.ClientSession:
        trusted = ssl.create_default_context(cafile=str(self.ca))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted))

    async def _wait_ready(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                if self._process.returncode is not None:
                    raise RuntimeError((self._folder / "keycloak.log").read_text()[-4000:])
                try:
                    async with (
                        self._session() as session,
                        session.get(f"{self.issuer}/.well-known/openid-configuration") as response,
                    ):
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.25)


def realm() -> dict[str, Any]:
    """Return the realm that is imported: alice of oil, bob of gas, tokens with groups for ``kubernetes``."""
    in_tokens = {"id.token.claim": "true", "access.token.claim": "true"}
    return {
        "realm": REALM,
        "enabled": True,
        "accessTokenLifespan": 600,
        "groups": [{"name": "projectcapsule.dev"}, {"name": "oil-developers"}, {"name": "gas-developers"}],
        "users": [_user("alice", "oil-developers"), _user("bob", "gas-developers")],
        "clients": [
            {
                "clientId": CLIENT,
                "enabled": True,
                "publicClient": True,
                "directAccessGrantsEnabled": True,
                "standardFlowEnabled": False,
                "protocolMappers": [
                    {
                        "name": "groups",
                        "protocol": "openid-connect",
                        "protocolMapper": "oidc-group-membership-mapper",
                        "config": {"claim.name": "groups", "full.path": "false", **in_tokens},
                    },
                    {
                        "name": "audience",
                        "protocol": "openid-connect",
                        "protocolMapper": "oidc-audience-mapper",
                        "config": {"included.client.audience": CLIENT, **in_tokens},
                    },
                ],
            }
        ],
    }


def _user(name: str, group: str) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "email": f"{name}@example.org",
        "emailVerified": True,
        "firstName": name.title(),
        "lastName": "Tester",
        "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        "groups": ["/projectcapsule.dev", f"/{group}"],
    }


def _certificates(folder: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server.private_key_pem.write_to_path(str(folder / "server.key"))
    (folder / "server.pem").write_bytes(b"".join(each.bytes() for each in server.cert_chain_pems))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(*command: str, cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{command[0]} ended with {result.returncode}:\n{(result.stdout + result.stderr)[-4000:]}")


if __name__ == "__main__":
    sys.stdout.write(f"{provide()}\n")

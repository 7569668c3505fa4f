"""A gateway whose way to the API server, whose processes and whose files tests break."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import yaml
from aiohttp.abc import AbstractResolver

from tenantry.kube.config import load_config
from tenantry.kube.tls import TlsContexts
from tenantry.testing.breakable import readiness
from tenantry.testing.gateway import Gateway, account_kubeconfig
from tenantry.testing.link import Link
from tenantry.testing.platform import Platform

PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got."""

    status: int
    body: Any
    """What the JSON says; text where it is none."""
    headers: Mapping[str, str]

    @property
    def outage(self) -> tuple[int, str, str, bool]:
        """Status, kind and reason of the body, and whether it says when to try again."""
        body = self.body if isinstance(self.body, dict) else {}
        return self.status, body.get("kind", ""), body.get("reason", ""), "Retry-After" in self.headers


UNAVAILABLE: Final = (503, "Status", "ServiceUnavailable", True)
"""What every client can read, and tries again after."""


class _Here(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True)
class User:
    """A client on connections of its own; an async context manager."""

    kubeconfig: Path
    keeps_alive: bool = True
    """Whether requests share connections."""
    host: str = "127.0.0.1"
    """By which name it calls the gateway, wherever that leads in the world."""
    port: int = 0
    """Where it connects, if not where the kubeconfig says."""
    server: str = field(init=False)
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        config = load_config(kubeconfig=str(self.kubeconfig))
        self.server = f"https://{self.host}:{self.port or config.server.rpartition(':')[2]}"
        token = yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"].get("token")
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=TlsContexts(config.tls).current(),
                limit=0,
                force_close=not self.keeps_alive,
                resolver=_Here(),
            ),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
            read_bufsize=1 << 24,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def get(self, path: str, **options: Any) -> Answer:
        """Send a GET and return its answer; *options* are aiohttp's."""
        async with self.session.get(self.server + path, **options) as answer:
            text = await answer.text()
            return Answer(answer.status, _json(text) or text, dict(answer.headers))

    async def post(self, path: str, body: object) -> int:
        """Send a POST and return its status."""
        async with self.session.post(self.server + path, json=body) as answer:
            return answer.status

    async def status(self, path: str) -> int:
        """Send a GET and return its status; 0 where no answer came."""
        try:
            return (await self.get(path)).status
        except (aiohttp.ClientError, OSError):
            return 0

    @asynccontextmanager
    async def watching(self, path: str, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield an open stream."""
        whole = {"watch": "true", **query}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(self.server + path, params=whole, timeout=timeout) as answer:
            assert answer.status == 200, await answer.text()
            yield answer


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, Any] | None:
    """Return the next event of a watch; None at its end, however it came."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            line = await stream.content.readline()
        except aiohttp.ClientError:
            return None
    return json.loads(line) if line.strip() else None


@dataclass(slots=True)
class BreakableGateway:
    """A gateway of one test or module."""

    gateway: Gateway
    link: Link
    """Between the gateway and the API server."""

    @classmethod
    @asynccontextmanager
    async def started(
        cls,
        platform: Platform,
        folder: Path,
        *,
        token_file: Path | None = None,
        runtime_folder: Path | None = None,
        is_started: bool = True,
        is_cut: bool = False,
        **configuration: Any,
    ) -> AsyncIterator[Self]:
        """Run one while open.

        Args:
            platform: Running.
            folder: For its files.
            token_file: Of the gateway's own account, if not the installation's.
            runtime_folder: For its sockets, if not one of its own.
            is_started: Whether it is run at all, and is ready when the body begins.
            is_cut: Whether the API server is away from the start.
            configuration: Its configuration.
        """
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # once, before anything else runs
        config = load_config(kubeconfig=str(platform.plane.kubeconfig))
        async with Link(int(config.server.rpartition(":")[2])) as link:
            if is_cut:
                await link.cut()
            account = await linked_account(platform, folder / "account.kubeconfig", link, token_file)
            cluster: dict[str, Any] = {"name": "default", "kubeconfig": str(account)}
            cluster |= {part: configuration.pop(part) for part in ("identity", "visibility") if part in configuration}
            clusters = [cluster, *configuration.pop("others", ())]
            if len(clusters) > 1:
                cluster["isDefault"] = True
            hosts = [host for each in clusters for host in each.get("hosts", ())]
            gateway = await Gateway.prepare(
                platform, folder, clusters=clusters, hosts=hosts, configuration=configuration
            )
            if runtime_folder is not None:
                gateway.part.arguments = (*gateway.part.arguments, f"--runtime-folder={runtime_folder}")
            broken = cls(gateway, link)
            try:
                if is_started:
                    await gateway.run()
                    await gateway.wait_ready()
                yield broken
            finally:
                link.mend()
                await gateway.stop()

    def client(self, user: str, **options: Any) -> User:
        """Return a client of a tenant's user with a certificate; *options* as of :class:`User`."""
        return User(self.gateway.user(user), port=self.gateway.port, **options)

    async def readiness(self) -> tuple[int, str]:
        """Return status and text of ``/readyz``."""
        return await readiness(self.gateway.part)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged, its data plane too."""
        return [record for record in map(_json, self.gateway.part.log.read_text().splitlines()) if record]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines of one *event*."""
        return [record for record in self.log if record.get("event") == event]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The audit records, oldest first, of all files."""
        file = self.gateway.audit_file
        files = sorted(
            file.parent.glob(f"{file.name}*"), key=lambda one: -int(one.suffix[1:] or 0) if one != file else 1
        )
        return [record for one in files for record in map(_json, one.read_text().splitlines()) if record]

    async def metrics(self) -> str:
        """Return what ``/metrics`` says."""
        url = f"http://127.0.0.1:{self.gateway.part.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these *labels*."""
        total = 0.0
        for line in (await self.metrics()).splitlines():
            if line.startswith((f"{name}{{", f"{name} ")) and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                total += float(line.rpartition(" ")[2])
        return total

    def children(self) -> dict[str, int]:
        """Return the process ids of ``envoy`` and ``streams``, as far as they run."""
        found = {}
        for pid in children(self.gateway.python_pid):
            command = command_line(pid)
            if "tenantry.gateway.streams.child" in command:
                found["streams"] = pid
            elif "--drain-strategy" in command:
                found["envoy"] = pid
        return found

    @property
    def runtime(self) -> Path:
        """The private folder of the process that runs."""
        command = command_line(self.children()["envoy"])
        return Path(command[command.index("-c") + 1]).parent.parent

    async def admin(self, path: str) -> Any:
        """Return what Envoy's administration says, JSON."""
        connector = aiohttp.UnixConnector(path=str(self.runtime / "admin.sock"))
        async with aiohttp.ClientSession(connector=connector) as session, session.get(f"http://envoy{path}") as answer:
            return json.loads(await answer.text())


async def linked_account(platform: Platform, path: Path, link: Link, token_file: Path | None = None) -> Path:
    """Write a kubeconfig of the gateway's account to *path* that goes through *link*."""
    document = yaml.safe_load((await account_kubeconfig(platform)).read_text())
    for each in document["clusters"]:
        each["cluster"]["server"] = f"https://127.0.0.1:{link.port}"
    if token_file is not None:
        document["users"] = [{"name": one["name"], "user": {"tokenFile": str(token_file)}} for one in document["users"]]
    path.write_text(yaml.safe_dump(document))  # noqa: ASYNC240  # small
    return path


def children(pid: int) -> list[int]:
    """Return the processes that *pid* has started and that run."""
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_line(pid: int) -> list[str]:
    """Return a process's arguments; none of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def is_running(pid: int) -> bool:
    """Say whether there is such a process, and it is more than a zombie."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ProcessLookupError):
        return False


async def until(is_done: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> Any:
    """Return the first true result of *is_done*, which may be a coroutine function, or fail."""
    async with asyncio.timeout(seconds):
        while True:
            result = is_done()
            result = await result if asyncio.iscoroutine(result) else result
            if result:
                return result
            await asyncio.sleep(0.05)


def _json(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""A whole installation on an embedded control plane: for the demo, the benchmarks and the tests.

The manifests are those that users get, applied with kubectl; the two processes run on this
machine, with the ServiceAccounts and the rights that those manifests give them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

import yaml

from tenantry.controlplane import launcher
from tenantry.controlplane.binaries.search import find_programs
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.components import KUBECTL, Versions
from tenantry.foundation.errors import TenantryError
from tenantry.install.settings import InstallSettings

READY_SECONDS: Final = 60.0
OWN_PORTS: Final = range(12_000, 30_000)
"""Below what systems take for outgoing connections."""
TOKEN_DURATION: Final = "24h"  # noqa: S105  # how long it lives, not the token
LAST_LINES: Final = 15


class PlatformError(TenantryError):
    """A part of the platform did not come up, or a kubectl command of its set-up failed."""

    reason = "PlatformFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, the errors last."""
        return self.stdout + self.stderr


@dataclass(slots=True, kw_only=True)
class Part:
    """One process of the product."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    health_port: int
    metrics_port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 while it does not run."""
        return self.process.pid if self.process is not None else 0


@dataclass(slots=True, kw_only=True)
class Platform:
    """A running installation; make it with :meth:`start`."""

    plane: ControlPlane
    folder: Path
    settings: InstallSettings
    operator: Part
    admission: Part
    kubectl_program: Path
    servers: Mapping[str, str] = field(default_factory=dict)
    """By ServiceAccount: where its process reaches the API server, if not at its own address."""

    @classmethod
    async def start(  # each is a setting of one installation
        cls,
        plane: ControlPlane,
        folder: Path,
        *,
        workers: int = 1,
        arguments: Sequence[str] = (),
        servers: Mapping[str, str] | None = None,
    ) -> Self:
        """Install on *plane* and run both processes; return when the webhooks are registered.

        Args:
            plane: Running; it is left running by :meth:`stop`.
            folder: For kubeconfigs, tokens and logs; made if it is missing.
            workers: Processes of admission.
            arguments: More for both processes, such as ``--log-level=debug``.
            servers: See the attribute.

        Raises:
            PlatformError: Naming the part, with the last lines of its log.
        """
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # once, before anything else runs
        webhook, *ports = free_ports(5)
        settings = InstallSettings(webhook_url=f"https://127.0.0.1:{webhook}", admission_workers=workers)
        platform = cls(
            plane=plane,
            folder=folder,
            settings=settings,
            operator=Part(
                name="operator",
                arguments=("operator", "--enable-leader-election", *arguments),
                log=folder / "operator.log",
                health_port=ports[0],
                metrics_port=ports[1],
            ),
            admission=Part(
                name="admission",
                arguments=(
                    "admission",
                    "serve",
                    "--webhook-host=127.0.0.1",
                    f"--webhook-port={webhook}",
                    f"--workers={workers}",
                    *arguments,
                ),
                log=folder / "admission.log",
                health_port=ports[2],
                metrics_port=ports[3],
            ),
            kubectl_program=find_programs(Versions())[KUBECTL],
            servers=servers or {},
        )
        await platform.install()
        await platform.run(platform.admission)
        await platform.run(platform.operator)
        await platform.wait_ready()
        return platform

    async def install(self) -> None:
        """Apply the manifests; safe to run again."""
        await self.apply_output(["crds"])
        await self._wait_for_definitions()
        url = self.settings.webhook_url or ""
        await self.apply_output(["manifests", "--skip-crds", f"--webhook-url={url}"])
        for account in (self.settings.operator_account, self.settings.admission_account):
            await self.write_kubeconfig(account)

    async def run(self, part: Part) -> None:
        """Start *part*; its log goes on where it was."""
        account = self.settings.operator_account if part.name == "operator" else self.settings.admission_account
        environment = {
            **os.environ,
            "NAMESPACE": self.settings.namespace,
            "POD_NAME": f"{part.name}-{part.health_port}",
            "SERVICE_ACCOUNT": self.settings.operator_account,
            "ADMISSION_SERVICE_ACCOUNT": self.settings.admission_account,
        }
        with part.log.open("ab") as log:
            part.process = await asyncio.create_subprocess_exec(
                # A run that is killed leaves nothing behind.
                *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
                *(sys.executable, "-m", "tenantry"),
                *part.arguments,
                f"--kubeconfig={self.folder / account}.kubeconfig",
                f"--configuration-name={self.settings.configuration_name}",
                f"--metrics-addr=127.0.0.1:{part.metrics_port}",
                f"--health-addr=127.0.0.1:{part.health_port}",
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    async def wait_ready(self) -> None:
        """Return when both processes are ready, webhooks registered and the configuration Ready."""
        for part in (self.admission, self.operator):
            await self.wait_part(part)
        await self._wait_for(self.operator, self._is_armed)

    async def wait_part(self, part: Part) -> None:
        """Return when *part* is ready.

        Raises:
            PlatformError: It ended, or is not ready in time.
        """
        await self._wait_for(part, partial(answers, part.health_port))

    def another(self, part: Part, *arguments: str) -> Part:
        """Return one more of *part*, to be run beside it; of admission on another port, if *arguments* say so."""
        health, metrics = free_ports(2)
        name = f"{part.log.stem}-{health}"
        return replace(
            part,
            arguments=(*part.arguments, *arguments),
            log=self.folder / f"{name}.log",
            health_port=health,
            metrics_port=metrics,
            process=None,
        )

    async def stop_part(self, part: Part, *, kill: bool = False) -> None:
        """End *part*, politely or not, and wait for it."""
        if part.process is None:
            return
        if part.process.returncode is None:
            os.killpg(part.process.pid, signal.SIGKILL if kill else signal.SIGTERM)
            try:
                await asyncio.wait_for(part.process.wait(), READY_SECONDS)
            except TimeoutError:
                os.killpg(part.process.pid, signal.SIGKILL)
                await part.process.wait()
        part.process = None

    async def stop(self) -> None:
        """End both processes; the control plane goes on."""
        await self.stop_part(self.operator)
        await self.stop_part(self.admission)

    def user(self, name: str, groups: Sequence[str] = ("projectcapsule.dev",)) -> Path:
        """Return the kubeconfig of a user."""
        return self.plane.user_kubeconfig(name, groups)

    async def kubectl(
        self, *arguments: str, user: Path | None = None, stdin: str | None = None, check: bool = True
    ) -> Completed:
        """Run kubectl as *user* (the administrator where None).

        Raises:
            PlatformError: It failed, and *check* is set.
        """
        kubeconfig = user if user is not None else self.plane.kubeconfig
        process = await asyncio.create_subprocess_exec(
            str(self.kubectl_program),
            f"--kubeconfig={kubeconfig}",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate(stdin.encode() if stdin is not None else None)
        done = Completed(code=process.returncode or 0, stdout=stdout.decode(), stderr=stderr.decode())
        if check and done.code != 0:
            raise PlatformError(f"kubectl {' '.join(arguments)} ended with {done.code}: {done.output.strip()}")
        return done

    async def apply_output(self, command: list[str]) -> None:
        """Apply what a tenantry *command* prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tenantry", *command, stdout=asyncio.subprocess.PIPE
        )
        stdout, _ = await process.communicate()
        if process.returncode != 0:
            raise PlatformError(f"tenantry {' '.join(command)} ended with {process.returncode}")
        await self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=stdout.decode())

    async def write_kubeconfig(self, account: str) -> None:
        """Write a kubeconfig of a ServiceAccount to ``<account>.kubeconfig``."""
        done = await self.kubectl(
            "create", "token", account, "-n", self.settings.namespace, f"--duration={TOKEN_DURATION}"
        )
        token = self.folder / f"{account}.token"
        token.write_text(done.stdout.strip())
        token.chmod(0o600)
        config = yaml.safe_load(self.plane.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"tokenFile": str(token)}} for user in config["users"]]
        for each in config["clusters"]:
            each["cluster"]["server"] = self.servers.get(account, each["cluster"]["server"])
        (self.folder / f"{account}.kubeconfig").write_text(yaml.safe_dump(config))

    async def _wait_for_definitions(self) -> None:
        done = Completed(code=1, stdout="", stderr="")
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                # To kubectl a definition without any condition yet is an error, so it is asked again.
                while done.code != 0:
                    done = await self.kubectl(
                        "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s", check=False
                    )
        if done.code != 0:
            raise PlatformError(f"the API server does not serve the definitions: {done.output.strip()}")

    async def _is_armed(self) -> bool:
        done = await self.kubectl(
            "get",
            "validatingwebhookconfigurations,mutatingwebhookconfigurations",
            "-o=jsonpath={.items[*].webhooks[0].clientConfig.url}",
            check=False,
        )
        url = self.settings.webhook_url or ""
        ready = await self.kubectl(
            "get",
            "capsuleconfiguration",
            self.settings.configuration_name,
            '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}',
            check=False,
        )
        return done.stdout.count(url) >= 2 and ready.stdout == "True"

    async def _wait_for(self, part: Part, is_done: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await is_done():
                    if part.process is None or part.process.returncode is not None:
                        break
                    await asyncio.sleep(0.1)
                else:
                    return
        except TimeoutError:
            pass
        lines = part.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        code = part.process.returncode if part.process is not None else None
        state = f"ended with {code}" if code is not None else f"was not ready after {READY_SECONDS:.0f} s"
        raise PlatformError("\n".join([f"{part.name} {state}; the end of {part.log}:", *lines]))


async def answers(port: int) -> bool:
    """Say whether /readyz on *port* answers 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in await asyncio.wait_for(reader.readline(), 5)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on now.

    None of those that outgoing connections are given: one of these could take it before
    whom it is meant for.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            listener = held.enter_context(socket.socket())
            port = random.choice(OWN_PORTS)  # noqa: S311 - so that several platforms hardly ever meet
            with suppress(OSError):
                listener.bind(("127.0.0.1", port))
                found.append(port)
    return found

"""A running gateway before an installation: for the demo, the benchmarks and the tests.

It has the ServiceAccount and the rights that ``tenantry manifests --gateway`` gives it, and its own certificate, from
the authority that the control plane's users trust already.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tenantry.controlplane import launcher
from tenantry.controlplane.cluster import ControlPlane
from tenantry.controlplane.pki import Authority, utc_now
from tenantry.testing.platform import Completed, Part, Platform, PlatformError, answers, free_ports

ACCOUNT: Final = "capsule-proxy"
READY_SECONDS: Final = 60.0
LAST_LINES: Final = 25


@dataclass(slots=True, kw_only=True)
class Gateway:
    """A gateway process; make it with :meth:`start`."""

    platform: Platform
    folder: Path
    port: int
    part: Part
    configuration: dict[str, Any]

    @classmethod
    async def start(
        cls,
        platform: Platform,
        folder: Path,
        *,
        configuration: Mapping[str, Any] | None = None,
        hosts: Sequence[str] = (),
        clusters: Sequence[Mapping[str, Any]] | None = None,
    ) -> Self:
        """Run a gateway before *platform*; return when it is ready.

        Args:
            platform: Running; its manifests are applied again, the gateway's with them.
            folder: For certificates, configuration, tokens and logs; made if it is missing.
            configuration: Merged into the configuration file, sections by sections; ``identity`` and
                ``visibility`` go to the one cluster.
            hosts: More names for the certificate.
            clusters: Several clusters instead of *platform*'s own.

        Raises:
            PlatformError: It did not come up; with the last lines of its log.
        """
        gateway = await cls.prepare(platform, folder, configuration=configuration, hosts=hosts, clusters=clusters)
        await gateway.run()
        await gateway.wait_ready()
        return gateway

    @classmethod
    async def prepare(
        cls,
        platform: Platform,
        folder: Path,
        *,
        configuration: Mapping[str, Any] | None = None,
        hosts: Sequence[str] = (),
        clusters: Sequence[Mapping[str, Any]] | None = None,
    ) -> Self:
        """As :meth:`start`, and start nothing yet."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240  # once, before anything else runs
        kubeconfig = await account_kubeconfig(platform)
        port, health, metrics = free_ports(3)
        _write_certificate(platform.plane, folder, hosts)
        given = dict(configuration or {})
        cluster = {"name": "default", "kubeconfig": str(kubeconfig)}
        cluster |= {section: given.pop(section) for section in ("identity", "visibility") if section in given}
        pair = {"certificate": str(folder / "tls" / "tls.crt"), "key": str(folder / "tls" / "tls.key")}
        whole: dict[str, Any] = {
            "apiVersion": "gateway.tenantry.dev/v1alpha1",
            "kind": "GatewayConfiguration",
            "listening": {"address": "127.0.0.1", "port": port, "certificates": [pair]},
            "clusters": [dict(each) for each in clusters] if clusters is not None else [cluster],
            "audit": {"file": str(folder / "audit.log")},
            "healthAddress": f"127.0.0.1:{health}",
            "metricsAddress": f"127.0.0.1:{metrics}",
            "drainSeconds": 2,
            "envoyWorkers": 1,
        }
        for section, value in given.items():
            known = whole.get(section)
            whole[section] = {**known, **value} if isinstance(known, dict) else value
        part = Part(
            name="gateway",
            arguments=("gateway", f"--config={folder / 'gateway.yaml'}"),
            log=folder / "gateway.log",
            health_port=health,
            metrics_port=metrics,
        )
        gateway = cls(platform=platform, folder=folder, port=whole["listening"]["port"], part=part, configuration=whole)
        gateway.write_configuration()
        return gateway

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """What its certificate is signed by."""
        return Authority(self.platform.plane.folder / "pki").certificate_file

    @property
    def audit_file(self) -> Path:
        """Its audit records."""
        return Path(self.configuration["audit"]["file"])

    def write_configuration(self) -> None:
        """Write the file anew, at once as editors and ConfigMaps do."""
        target = self.folder / "gateway.yaml"
        draft = target.with_suffix(".new")
        draft.write_text(yaml.safe_dump(self.configuration, sort_keys=False))
        draft.replace(target)

    async def run(self) -> None:
        """Start the process; its log goes on where it was."""
        with self.part.log.open("ab") as log:
            self.part.process = await asyncio.create_subprocess_exec(
                # A run that is killed leaves nothing behind.
                *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
                *(sys.executable, "-m", "tenantry"),
                *self.part.arguments,
                stdout=log,
                stderr=log,
                env={**os.environ, "NAMESPACE": self.platform.settings.namespace},
                start_new_session=True,
            )

    async def wait_ready(self) -> None:
        """Return when it says that it is ready.

        Raises:
            PlatformError: It ended, or is not ready in time.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while self.part.process is not None and self.part.process.returncode is None:
                    if await answers(self.part.health_port):
                        return
                    await asyncio.sleep(0.05)
        lines = self.part.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        code = self.part.process.returncode if self.part.process is not None else None
        state = f"ended with {code}" if code is not None else f"was not ready after {READY_SECONDS:.0f} s"
        raise PlatformError("\n".join([f"gateway {state}; the end of {self.part.log}:", *lines]))

    async def stop(self, *, kill: bool = False) -> None:
        """End it, politely or not, and wait for it."""
        await self.platform.stop_part(self.part, kill=kill)

    def signal(self, number: signal.Signals) -> None:
        """Send the Python process alone a signal: SIGSTOP leaves the data plane running."""
        if self.part.process is not None:
            os.kill(self.python_pid, number)

    @property
    def python_pid(self) -> int:
        """The process that decides; the launcher becomes it."""
        return self.part.pid

    def user(self, name: str, groups: Sequence[str] = ("projectcapsule.dev",)) -> Path:
        """Return a kubeconfig by which a user with a client certificate comes through the gateway."""
        return self.through(self.platform.user(name, groups))

    def through(self, kubeconfig: Path, *, host: str = "127.0.0.1") -> Path:
        """Return a copy of *kubeconfig* that goes through the gateway."""
        document = yaml.safe_load(kubeconfig.read_text())
        for each in document["clusters"]:
            each["cluster"]["server"] = f"https://{host}:{self.port}"
        return self._write(f"{kubeconfig.stem}.{host}", document)

    def bearer(self, token: str, *, name: str = "bearer", host: str = "127.0.0.1") -> Path:
        """Return a kubeconfig by which whoever has *token* comes through the gateway."""
        document = yaml.safe_load(self.platform.plane.kubeconfig.read_text())
        document["users"] = [{"name": each["name"], "user": {"token": token}} for each in document["users"]]
        for each in document["clusters"]:
            each["cluster"]["server"] = f"https://{host}:{self.port}"
        return self._write(f"{name}.{host}", document)

    def _write(self, name: str, document: object) -> Path:
        folder = self.folder / "users"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path

    async def kubectl(self, *arguments: str, user: Path, stdin: str | None = None, check: bool = True) -> Completed:
        """Run kubectl as *user*, a kubeconfig that goes through the gateway."""
        return await self.platform.kubectl(*arguments, user=user, stdin=stdin, check=check)


async def account_kubeconfig(platform: Platform) -> Path:
    """Install the gateway's rights, and return a kubeconfig of its ServiceAccount."""
    await platform.apply_output(
        ["manifests", "--skip-crds", "--gateway", f"--webhook-url={platform.settings.webhook_url}"]
    )
    await platform.write_kubeconfig(ACCOUNT)
    return platform.folder / f"{ACCOUNT}.kubeconfig"


def another_port(gateway: Gateway, folder: Path) -> Gateway:
    """Return one more gateway with the same settings, to be run beside it: a second replica."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port, health, metrics = free_ports(3)
    configuration = {
        **gateway.configuration,
        "listening": {**gateway.configuration["listening"], "port": port},
        "audit": {"file": str(folder / "audit.log")},
        "healthAddress": f"127.0.0.1:{health}",
        "metricsAddress": f"127.0.0.1:{metrics}",
    }
    part = replace(
        gateway.part,
        arguments=("gateway", f"--config={folder / 'gateway.yaml'}"),
        log=folder / "gateway.log",
        health_port=health,
        metrics_port=metrics,
        process=None,
    )
    other = replace(gateway, folder=folder, port=port, part=part, configuration=configuration)
    other.write_configuration()
    return other


def _write_certificate(plane: ControlPlane, folder: Path, hosts: Sequence[str]) -> None:
    pair = Authority(plane.folder / "pki").server(utc_now(), hosts)
    # A folder of their own: Envoy watches it, and each line of a log beside them would wake it.
    shown = folder / "tls"
    shown.mkdir(exist_ok=True, mode=0o700)
    (shown / "tls.key").write_bytes(pair.key)
    (shown / "tls.key").chmod(0o600)
    (shown / "tls.crt").write_bytes(pair.certificate)

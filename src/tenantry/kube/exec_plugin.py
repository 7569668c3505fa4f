"""Credentials from a program (client.authentication.k8s.io ExecCredential, KEP-541)."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tenantry.foundation.codec import DecodeError, Model, decode, decode_any, encode
from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.credentials import CredentialSource, Grant, RefreshingSource
from tenantry.kube.errors import CredentialsError
from tenantry.kube.tls import ClientCertificate, Pem

GROUP = "client.authentication.k8s.io"
API_VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
TIMEOUT_SECONDS = 120.0
"""A plug-in may have to open a browser."""


class ExecStatus(Model):
    """ExecCredentialStatus."""

    expiration_timestamp: str | None = None
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""


class ExecCredential(Model):
    """What the program prints."""

    api_version: str = ""
    kind: str = ""
    status: ExecStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """A program that prints a credential, asked again when it expired or was refused."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: str = API_VERSIONS[0]
    interactive_mode: str = "IfAvailable"
    """Never, IfAvailable or Always: whether it gets the terminal as its input."""
    install_hint: str = ""
    cluster_info: bytes | None = None
    """JSON of ExecCredential's ``spec.cluster``, for plug-ins that ask for it."""

    def source(self) -> CredentialSource:
        """Return a source that runs the program when a grant is needed."""
        if self.api_version not in API_VERSIONS:
            raise ConfigurationError(
                f"exec plug-in {self.command}: apiVersion {self.api_version!r} is not one of {', '.join(API_VERSIONS)}"
            )
        return RefreshingSource(self._obtain)

    async def _obtain(self) -> tuple[Grant, float | None]:
        status = self._status(await self._run())
        certificate = None
        if status.client_certificate_data and status.client_key_data:
            certificate = ClientCertificate(
                Pem(data=status.client_certificate_data.encode()), Pem(data=status.client_key_data.encode())
            )
        if not status.token and certificate is None:
            raise CredentialsError(f"exec plug-in {self.command} returned neither a token nor a certificate")
        grant = Grant(f"Bearer {status.token}" if status.token else None, certificate)
        return grant, self._seconds_left(status.expiration_timestamp)

    def _status(self, output: bytes) -> ExecStatus:
        try:
            credential = decode(output, ExecCredential)
        except DecodeError as error:
            raise CredentialsError(f"exec plug-in {self.command} printed no ExecCredential: {error}") from error
        if credential.api_version != self.api_version:
            raise CredentialsError(
                f"exec plug-in {self.command} answered in {credential.api_version!r}, asked was {self.api_version!r}"
            )
        if credential.status is None:
            raise CredentialsError(f"exec plug-in {self.command} returned no status")
        return credential.status

    def _seconds_left(self, expiration: str | None) -> float | None:
        if not expiration:
            return None
        try:
            moment = datetime.fromisoformat(expiration)
        except ValueError as error:
            raise CredentialsError(f"exec plug-in {self.command}: expirationTimestamp {expiration!r}") from error
        return (moment - datetime.now(UTC)).total_seconds()

    async def _run(self) -> bytes:
        is_interactive = self._is_interactive()
        environment = os.environ | dict(self.env) | {"KUBERNETES_EXEC_INFO": self._info(is_interactive=is_interactive)}
        try:
            process = await asyncio.create_subprocess_exec(
                self.command,
                *self.args,
                env=environment,
                stdin=None if is_interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f"\n{self.install_hint}" if self.install_hint else ""
            raise CredentialsError(f"cannot run exec plug-in {self.command}: {error.strerror}{hint}") from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise CredentialsError(f"exec plug-in {self.command} ran for over {TIMEOUT_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise CredentialsError(f"exec plug-in {self.command} failed with exit code {process.returncode}")
        return output

    def _is_interactive(self) -> bool:
        has_terminal = sys.stdin is not None and sys.stdin.isatty()
        if self.interactive_mode == "Always" and not has_terminal:
            raise CredentialsError(f"exec plug-in {self.command} needs a terminal, and there is none")
        return has_terminal and self.interactive_mode != "Never"

    def _info(self, *, is_interactive: bool) -> str:
        spec: dict[str, Any] = {"interactive": is_interactive}
        if self.cluster_info is not None:
            spec["cluster"] = decode_any(self.cluster_info)
        return encode({"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}).decode()


def cluster_info(
    *, server: str, tls_server_name: str, is_insecure: bool, ca: bytes | None, proxy_url: str, config: object
) -> bytes:
    """Return the JSON of ``spec.cluster``; what is empty is left out."""
    info = {
        "server": server,
        "tls-server-name": tls_server_name,
        "insecure-skip-tls-verify": is_insecure,
        "certificate-authority-data": base64.b64encode(ca).decode() if ca is not None else "",
        "proxy-url": proxy_url,
        "config": config,
    }
    return encode({key: value for key, value in info.items() if value or key == "server"})

"""What may be set about the gateway's part of an installation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Final

from tenantry.gateway.config.conversion import document_of
from tenantry.gateway.settings import Certificate, GatewaySettings, Listening
from tenantry.install.text import yaml_text

CERTIFICATE_FOLDER: Final = PurePosixPath("/opt/capsule-proxy")
"""Where the Secret is mounted: capsule-proxy's own place, so that its flags and values go on working."""
CONFIGURATION_FOLDER: Final = PurePosixPath("/etc/tenantry/gateway")
CONFIGURATION_FILE: Final = "gateway.yaml"
RUNTIME_VOLUME: Final = PurePosixPath("/run/tenantry")
RUNTIME_FOLDER: Final = RUNTIME_VOLUME / "gateway"
"""Below the volume, which Kubernetes makes open to all: this one the process makes its own."""
SPARE_SECONDS: Final = 10
"""Between the end of the drain and the kill."""


def default_configuration() -> GatewaySettings:
    """Return the settings of a gateway that serves the Secret's certificate, and else has all defaults."""
    pair = Certificate(certificate=Path(CERTIFICATE_FOLDER / "tls.crt"), key=Path(CERTIFICATE_FOLDER / "tls.key"))
    return replace(GatewaySettings(), listening=Listening(certificates=(pair,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayInstall:
    """Settings of the gateway's part; names are capsule-proxy's, so that clients and scripts find it."""

    name: str = "capsule-proxy"
    """Of the ServiceAccount, the Service and the Secret with the certificate."""
    replicas: int = 2
    service_port: int = 9001
    configuration: GatewaySettings = field(default_factory=default_configuration)
    """What rights and ports are made from."""
    configuration_text: str | None = None
    """The file as it was written; None: made from *configuration*."""
    arguments: tuple[str, ...] = ()
    """More flags, which override the file's values."""
    names: tuple[str, ...] = ()
    """Host names and addresses of the certificate, besides those of the Service."""
    has_flow_schema: bool = False
    """Whether requests of Capsule users share a priority level of their own at the API server, fairly by user."""

    @property
    def text(self) -> str:
        """The configuration file."""
        if self.configuration_text is not None:
            return self.configuration_text
        return yaml_text(document_of(self.configuration))

    @property
    def grace_seconds(self) -> int:
        """How long a Pod may take to end."""
        return max(30, ceil(self.configuration.drain_seconds) + SPARE_SECONDS)

    def certificate_names(self, namespace: str) -> tuple[str, ...]:
        """Return the DNS names and IP addresses that the certificate is for."""
        name = self.name
        service = (name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
        hosts = tuple(host for cluster in self.configuration.clusters for host in cluster.hosts)
        return tuple(dict.fromkeys((*service, *hosts, *self.names)))

"""Small blocking requests to the components, for health and for the first objects."""

from __future__ import annotations

import base64
import http.client
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tenantry.controlplane.components import Component
from tenantry.controlplane.state import Ports
from tenantry.foundation.codec import encode

TIMEOUT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks with the administrator's certificate."""

    ports: Ports
    _context: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, ports: Ports, kubeconfig: Path) -> Self:
        """Take trust and certificate from the administrator's kubeconfig."""
        content = yaml.safe_load(kubeconfig.read_text())
        user = content["users"][0]["user"]
        authority = base64.b64decode(content["clusters"][0]["cluster"]["certificate-authority-data"])
        context = ssl.create_default_context(cadata=authority.decode())
        with tempfile.NamedTemporaryFile(dir=kubeconfig.parent) as file:
            # OpenSSL reads a certificate chain from a file only; this one is 0600 and gone at once.
            file.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            file.flush()
            context.load_cert_chain(file.name)
        return cls(ports, context)

    def is_healthy(self, component: Component) -> bool:
        """Say whether *component* answers that it is well."""
        try:
            return self._health(component)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _health(self, component: Component) -> tuple[int, bytes]:
        port = self.ports.of(component)
        match component:
            case Component.ETCD:
                return _exchange(http.client.HTTPConnection("127.0.0.1", port, TIMEOUT_SECONDS), "GET", "/health")
            case Component.KWOK:
                return _exchange(http.client.HTTPConnection("127.0.0.1", port, TIMEOUT_SECONDS), "GET", "/healthz")
            case Component.API_SERVER:
                return self.api("GET", "/readyz")
            case Component.CONTROLLERS | Component.SCHEDULER:
                # They sign their own serving certificate; all we say to them is GET /healthz.
                context = ssl._create_unverified_context()  # noqa: S323, SLF001
                connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)
                return _exchange(connection, "GET", "/healthz")

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Send one request to the API server as the administrator; return status and body."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.ports.api_server, timeout=TIMEOUT_SECONDS, context=self._context
        )
        return _exchange(connection, method, path, body)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, bytes]:
    try:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else encode(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()

"""How clusters and files of the data plane are called."""

from __future__ import annotations

from pathlib import Path
from typing import Final

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"

METADATA: Final = "tenantry"
"""Filter name of the dynamic metadata that the script writes; ``a`` in it holds what the audit tells."""
ROUTE_HEADER: Final = "x-tenantry-route"
STREAM_HEADER: Final = "x-tenantry-stream"
"""On requests to the relay: ``upstream`` or ``own``; says to the inner listener whose credential goes up."""


def script_file(cluster: str) -> str:
    """The extension configuration (ECDS) of a cluster's script."""
    return f"script-{cluster}.json"


def token_file(cluster: str) -> str:
    """The secret (SDS) that holds the gateway's own credential."""
    return f"token-{cluster}.json"


def certificate_file(number: int) -> str:
    """The secret (SDS) of a serving certificate."""
    return f"certificate-{number}.json"


def client_ca_file(cluster: str) -> str:
    """The secret (SDS) of a cluster's client CA."""
    return f"client-ca-{cluster}.json"


def upstream_ca_file(cluster: str) -> str:
    """The secret (SDS) by which a cluster's API server is verified."""
    return f"upstream-ca-{cluster}.json"


def upstream_certificate_file(cluster: str) -> str:
    """The secret (SDS) of the gateway's own client certificate."""
    return f"upstream-certificate-{cluster}.json"


def api(cluster: str) -> str:
    """The API server, HTTP/2 where it can, with the gateway's credential."""
    return f"api-{cluster}"


def api_upgrades(cluster: str) -> str:
    """The API server over HTTP/1.1, one request a connection, with the gateway's credential."""
    return f"api-upgrades-{cluster}"


def own(cluster: str) -> str:
    """The API server without the gateway's credential."""
    return f"own-{cluster}"


def own_upgrades(cluster: str) -> str:
    """The API server over HTTP/1.1, one request a connection, without the gateway's credential."""
    return f"own-upgrades-{cluster}"


def python(cluster: str) -> str:
    """Python's side of a cluster."""
    return f"python-{cluster}"


def stream(cluster: str) -> str:
    """The relay of long-running requests."""
    return f"stream-{cluster}"


def script(cluster: str) -> str:
    """The script's filter."""
    return f"script-{cluster}"


def path_in(folder: Path, name: str) -> Path:
    """Where a rendered file lies at run time."""
    return folder / name

"""How clusters and files of the data plane are called."""

from __future__ import annotations

from typing import Final

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"

METADATA: Final = "tenantry"
"""Filter name of the dynamic metadata that the script writes; ``a`` in it holds what the audit tells."""
ROUTE_HEADER: Final = "x-tenantry-route"
GUARD: Final = "guard"
"""The filter that lets nothing through without the script's word."""
STREAMS: Final = "streams"
"""The process that holds live streams, of all clusters."""


def script_file(cluster: str) -> str:
    """The extension configuration (ECDS) of a cluster's script."""
    return f"script-{cluster}.json"


def cluster_of_script(file: str) -> str:
    """The cluster whose script *file* is; empty where it is another kind of file."""
    return file[len("script-") : -len(".json")] if file.startswith("script-") else ""


def token_file(cluster: str) -> str:
    """The secret (SDS) that holds the gateway's own credential."""
    return f"token-{cluster}.json"


def cluster_of_token(file: str) -> str:
    """The cluster whose credential *file* holds; empty where it is another kind of file."""
    return file[len("token-") : -len(".json")] if file.startswith("token-") else ""


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


def script(cluster: str) -> str:
    """The script's filter."""
    return f"script-{cluster}"

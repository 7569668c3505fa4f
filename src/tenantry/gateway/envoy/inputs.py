"""What the data plane must know beyond the settings: gathered once, handed to a pure renderer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tenantry.kube.config import ClusterConfig
from tenantry.kube.tls import Pem


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInputs:
    """One cluster behind the gateway, as the gateway's own account reaches it."""

    upstream: ClusterConfig
    """The server, how it is verified, and the kind of the gateway's credential; see :mod:`.credentials`."""
    client_ca: Pem | None = None
    """Who signs client certificates, unless the settings name a file; None: nobody is asked for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything for one rendering."""

    secret: str = field(repr=False)
    """The word that the script shows to Python; no quotes, no blanks."""
    clusters: Mapping[str, ClusterInputs]
    """By the names in the settings."""
    holds_streams: bool = True
    """Whether long-running requests are held by :mod:`tenantry.gateway.streams`; if not, nothing ends them early."""
    system_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    """The machine's trusted roots, for API servers without a CA of their own."""

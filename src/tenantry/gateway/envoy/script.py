"""The script that runs in Envoy: what is set for a cluster, before the parts in ``lua/``."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.http import LUA
from tenantry.gateway.envoy.inputs import Inputs
from tenantry.gateway.envoy.shapes import discovery, resource, typed
from tenantry.gateway.envoy.tls import client_ca
from tenantry.gateway.settings import ClusterSettings, GatewaySettings

PARTS: Final = ("replies", "paths", "requests", "credentials", "caches", "python", "identity", "verdicts", "main")
"""In this order: each uses what stands before it."""
_EPOCH: Final = re.compile(rb"-- epoch \d+")
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_.:/ -]*")


def scripts(settings: GatewaySettings, inputs: Inputs) -> dict[str, bytes]:
    """Return the file of each cluster's script."""
    body = parts()
    return {
        names.script_file(cluster.name): script_resource(cluster.name, _settings(settings, cluster, inputs) + body)
        for cluster in settings.clusters
    }


def script_resource(cluster: str, source: str) -> bytes:
    """Return the extension configuration that holds *source*."""
    lua = typed(names.script(cluster), LUA, default_source_code={"inline_string": source})
    return discovery([resource("config.core.v3.TypedExtensionConfig", **lua)])


def parts() -> str:
    """Return the fixed part of the script."""
    folder = files("tenantry.gateway.envoy") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in PARTS)


def of_epoch(file: bytes, epoch: int) -> bytes:
    """Return the script's file with another *epoch*: for Envoy a new script, whose caches are empty."""
    return _EPOCH.sub(b"-- epoch %d" % epoch, file, count=1)


def _settings(settings: GatewaySettings, cluster: ClusterSettings, inputs: Inputs) -> str:
    identity = cluster.identity
    forwarded = "XForwardedClientCert" in identity.authenticators
    wants = bool(settings.listening.certificates) and "TLSCertificate" in identity.authenticators
    certificates = wants and client_ca(cluster, inputs) is not None
    texts = {
        "cluster": cluster.name,
        "python": names.python(cluster.name),
        "secret": inputs.secret,
        "forwarded": identity.forwarded.header.lower() if forwarded else "",
    }
    others = {
        "certificates": _boolean(certificates),
        "unasked": _boolean(wants and not certificates),
        "own_always": _boolean(identity.own_token == "Always"),  # noqa: S105 - no token
        "holds": _boolean(inputs.holds_streams),
        "url_bytes": str(settings.limits.url_bytes),
        "stale_seconds": f"{identity.stale_seconds:g}",
    }
    lines = [f"  {name} = {_text(name, value)}," for name, value in texts.items()]
    lines += [f"  {name} = {value}," for name, value in others.items()]
    return "-- epoch 0\nlocal CONFIG = {\n" + "\n".join(lines) + "\n}\n"


def _boolean(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "true" if value else "false"


def _text(name: str, value: str) -> str:
    if not _HARMLESS.fullmatch(value):
        raise ConfigurationError(f"{name} {value!r} holds characters that the gateway's script can not take")
    return f'"{value}"'

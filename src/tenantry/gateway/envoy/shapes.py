"""Small builders for Envoy's configuration in JSON; pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tenantry.foundation.codec import encode
from tenantry.kube.tls import Pem

TYPES: Final = "type.googleapis.com/envoy."
Json = dict[str, Any]


def typed(name: str, kind: str, **fields: Any) -> Json:
    """Return an extension's configuration: *kind* is the message's name after ``envoy.``."""
    return {"name": name, "typed_config": {"@type": TYPES + kind, **fields}}


def resource(kind: str, **fields: Any) -> Json:
    """Return a resource as it stands in a discovery response."""
    return {"@type": TYPES + kind, **fields}


def discovery(resources: Iterable[Json]) -> bytes:
    """Return a file that Envoy reads as a discovery response, whenever another file is renamed over it."""
    return encode({"version_info": "1", "resources": list(resources)})


def file_source(path: Path) -> Json:
    """Return a config source that follows *path*."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def seconds(value: float) -> str:
    """Return a protobuf duration in JSON."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"


def pem_source(pem: Pem) -> Json:
    """Return a DataSource: the file itself, so that Envoy reads it again, else the text."""
    if pem.file is not None:
        return {"filename": str(pem.file)}
    return {"inline_string": (pem.data or b"").decode()}


def watched(*pems: Pem | None) -> Json:
    """Return the field that makes Envoy follow a replaced symbolic link, as kubelet and cert-manager do it."""
    for pem in pems:
        if pem is not None and pem.file is not None:
            return {"watched_directory": {"path": str(pem.file.parent)}}
    return {}


def exact_header(name: str, value: str) -> Json:
    """Return a matcher for one header value."""
    return {"name": name, "string_match": {"exact": value}}


def script_said(path: Iterable[str], value: Json, *, or_nothing: bool = False) -> Json:
    """Return an access log filter: the script's metadata at *path* matches *value*, or *or_nothing* is there."""
    # "invert" of the matcher has no effect in this filter.
    matcher = {"filter": "tenantry", "path": [{"key": key} for key in path], "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": or_nothing}}


def metadata_is(path: Iterable[str], value: str) -> Json:
    """Return an RBAC principal: a string in the script's metadata is *value*."""
    segments = [{"key": key} for key in path]
    matcher = {"filter": "tenantry", "path": segments, "value": {"string_match": {"exact": value}}}
    return {"sourced_metadata": {"metadata_matcher": matcher}}

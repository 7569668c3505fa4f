"""The parts of a request: body, query, headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote, urlencode

from tenantry.foundation.codec import Model, decode, encode
from tenantry.foundation.errors import InvalidError
from tenantry.kube.config import Impersonation
from tenantry.kube.resources import Body, KubernetesObject, Resource

T = TypeVar("T", bound=KubernetesObject)


class _TypeMeta(Model):
    api_version: str = ""
    kind: str = ""


def encode_body(body: Body, resource: Resource[T]) -> bytes:
    """Return the JSON of *body*, with ``apiVersion`` and ``kind`` of *resource* where it has none.

    Structs leave out what is at its default, and to them that is their own kind.
    """
    if isinstance(body, Mapping):
        return encode({"apiVersion": resource.api_version, "kind": resource.kind, **body})
    content = encode(body)
    present = decode(content, _TypeMeta)
    missing = {} if present.api_version else {"apiVersion": resource.api_version}
    if not present.kind:
        missing["kind"] = resource.kind
    if not missing:
        return content
    head = encode(missing)[:-1]
    return head + (b"," if content != b"{}" else b"") + content[1:]


def identity(body: Body) -> tuple[str | None, str]:
    """Return namespace (None where there is none) and name of the object that *body* describes."""
    if not isinstance(body, Mapping):
        return body.metadata.namespace or None, body.metadata.name
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        raise InvalidError("metadata", metadata, "an object has metadata with a name")
    return metadata.get("namespace") or None, metadata.get("name") or ""


def given(**query: str | None) -> dict[str, str]:
    """Return what is not None."""
    return {key: value for key, value in query.items() if value is not None}


def write_query(*, dry_run: bool, field_manager: str | None) -> dict[str, str]:
    """Return the query that all writes share."""
    return given(dryRun="All" if dry_run else None, fieldManager=field_manager)


def url_of(path: str, query: Mapping[str, str]) -> str:
    """Return *path* with *query*, escaped."""
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def impersonation_headers(who: Impersonation | None) -> tuple[tuple[str, str], ...]:
    """Return the headers of https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation."""
    if who is None:
        return ()
    headers = [("Impersonate-User", who.user)]
    headers += [("Impersonate-Group", group) for group in who.groups]
    if who.uid:
        headers.append(("Impersonate-Uid", who.uid))
    for key, values in who.extra.items():
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)

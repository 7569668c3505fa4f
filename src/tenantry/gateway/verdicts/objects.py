"""Single objects of the cluster, read live by the gateway's own account: labels of one, absence of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from tenantry.api.meta import ObjectMeta
from tenantry.foundation.codec import Model, decode
from tenantry.foundation.names import is_dns_label, is_path_segment
from tenantry.kube.client import Client
from tenantry.kube.errors import NotFoundError

_METADATA: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


class _Object(Model):
    metadata: ObjectMeta = ObjectMeta()


def object_path(group: str, version: str, resource: str, name: str) -> str:
    """Return the path of a cluster-scoped object, escaped."""
    prefix = f"/apis/{quote(group, safe='')}" if group else "/api"
    return "/".join((prefix, *(quote(part, safe=":") for part in (version, resource, name))))


async def live_labels(client: Client, group: str, version: str, resource: str, name: str) -> Mapping[str, str] | None:
    """Return the labels of a cluster-scoped object as they are now; None where it does not exist."""
    if not is_path_segment(name):
        return None  # The name may come from a review's body: "a/status" must not become a path.
    try:
        body = await client.request("GET", object_path(group, version, resource, name), headers={"Accept": _METADATA})
    except NotFoundError:
        return None
    return decode(body, _Object).metadata.labels or {}


async def is_namespace_absent(client: Client, namespace: str) -> bool:
    """Return whether the API server itself says, now, that there is no such namespace."""
    if not is_dns_label(namespace):
        return False
    try:
        await client.request("GET", object_path("", "v1", "namespaces", namespace), headers={"Accept": _METADATA})
    except NotFoundError as error:
        # Not just any 404: one of a proxy on the way would prove nothing.
        return (error.details.kind, error.details.name) == ("namespaces", namespace)
    return False

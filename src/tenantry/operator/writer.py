"""The one place that writes what the controllers want, and only where it differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from tenantry.api.core import ClusterRoleBinding, RoleBinding
from tenantry.api.labels import TENANT
from tenantry.api.meta import ObjectMeta, OwnerReference
from tenantry.foundation.codec import encode, to_plain
from tenantry.kube.cache import Cache
from tenantry.kube.client import Client
from tenantry.kube.errors import InvalidObjectError, NotFoundError
from tenantry.kube.resources import KubernetesObject
from tenantry.tenancy.desired.difference import is_as_wanted
from tenantry.tenancy.desired.manifests import Manifest

T = TypeVar("T", bound=KubernetesObject)
Key = tuple[str, str, str]
"""Kind, namespace, name."""
STATUS_MANAGER: Final = "tenantry/status"


class Writer:
    """Writes through a client, and puts the answers into the caches: a controller reads its own writes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: dict[Key, set[str]] = {}
        self._irreconcilable: dict[Key, tuple[str, str, int]] = {}
        self.on_surprise: Callable[[Key], None] = lambda _: None
        """Called when an object was changed by others too while we wrote it."""

    def is_writing(self, kind: str, metadata: ObjectMeta) -> bool:
        """Return whether a change that shows just now may be our own: then nobody need look at it.

        If in the end it was not, :attr:`on_surprise` is called.
        """
        versions = self._under_way.get((kind, metadata.namespace, metadata.name))
        if versions is None:
            return False
        versions.add(metadata.resource_version)
        return True

    @contextmanager
    def _writing(self, key: Key) -> Iterator[Callable[[Cache[T], T], T]]:
        """Yield what takes the answer of a write of the object *key*."""
        seen = self._under_way.setdefault(key, set())
        own: set[str] = set()

        def take(cache: Cache[T], written: T) -> T:
            own.add(written.metadata.resource_version)
            cache.observe(written)
            return written

        try:
            yield take
        finally:
            self._under_way.pop(key, None)
            if seen - own:
                self.on_surprise(key)

    async def ensure(self, cache: Cache[Any], manifest: Manifest, *, manager: str) -> Any:
        """Make the object equal *manifest* and return it as stored; no call if it is.

        It is applied first.  Where fields of others are then still different, the whole
        object is replaced.  Where even that leaves a difference, the API server does not store
        what we ask for, and the object is left until either side changes.

        Raises:
            ApiError, UnavailableError: Of the API server.
        """
        metadata = manifest["metadata"]
        key = (manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        stored = cache.get(key[2], key[1] or None)
        if stored is not None and is_as_wanted(stored, manifest):
            return stored
        mark = hash(encode(manifest))
        if stored is not None and self._irreconcilable.get(key) == (*_state(stored), mark):
            return stored
        with self._writing(key) as take:
            written = take(cache, await self._write(cache, stored, manifest, manager))
        if is_as_wanted(written, manifest):
            self._irreconcilable.pop(key, None)
        else:
            self._irreconcilable[key] = (*_state(written), mark)
        return cache.get(key[2], key[1] or None) or written

    async def _write(self, cache: Cache[Any], stored: Any, manifest: Manifest, manager: str) -> Any:
        if stored is not None and _has_other_controller(stored.metadata, manifest):
            return await self._replace(cache, stored, manifest, manager)
        try:
            written = await self._client.apply(cache.resource, manifest, field_manager=manager, force=True)
        except InvalidObjectError as refusal:
            written = await self._write_over(cache, manifest, manager, refusal)
        return written if is_as_wanted(written, manifest) else await self._replace(cache, written, manifest, manager)

    async def _write_over(
        self, cache: Cache[Any], manifest: Manifest, manager: str, refusal: InvalidObjectError
    ) -> Any:
        """Write over an object that can't be changed into what is wanted, if that is why it was refused."""
        metadata = manifest["metadata"]
        try:
            live = await self._client.get(cache.resource, metadata["name"], metadata.get("namespace"))
        except NotFoundError:
            raise refusal from None
        if isinstance(live, RoleBinding | ClusterRoleBinding) and live.role_ref.name != manifest["roleRef"]["name"]:
            await self._client.delete(
                cache.resource, metadata["name"], metadata.get("namespace"), uid=live.metadata.uid
            )
            return await self._client.apply(cache.resource, manifest, field_manager=manager, force=True)
        if _has_other_controller(live.metadata, manifest):
            return await self._replace(cache, live, manifest, manager)
        raise refusal

    async def _replace(self, cache: Cache[Any], stored: Any, manifest: Manifest, manager: str) -> Any:
        body = {**manifest, "metadata": _merged_metadata(stored.metadata, manifest["metadata"])}
        return await self._client.update(cache.resource, body, field_manager=manager)

    async def remove(self, cache: Cache[T], obj: T) -> None:
        """Delete exactly this *obj*, in the state that was read; gone already is well, too."""
        metadata = obj.metadata
        with suppress(NotFoundError):
            await self._client.delete(
                cache.resource,
                metadata.name,
                metadata.namespace or None,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
                propagation="Background",
            )
        cache.forget(
            metadata.name, metadata.namespace or None, uid=metadata.uid, resource_version=metadata.resource_version
        )

    async def merge(self, cache: Cache[T], obj: T, patch: Mapping[str, Any], *, manager: str) -> T:
        """Apply a merge *patch* to *obj* and return it as stored."""
        metadata = obj.metadata
        with self._writing((cache.resource.kind, metadata.namespace, metadata.name)) as take:
            written = await self._client.patch(
                cache.resource,
                metadata.name,
                metadata.namespace or None,
                patch=patch,
                kind="merge",
                field_manager=manager,
            )
            return take(cache, written)

    async def put_status(self, cache: Cache[T], obj: T, status: Mapping[str, Any]) -> T:
        """Replace the whole status of *obj*, whatever others wrote into it meanwhile.

        No resource version is asked for: a status is computed from everything, so a spec
        that changed at the same moment brings the next one.  Another object of the same
        name is not touched.
        """
        metadata = obj.metadata
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        with self._writing((cache.resource.kind, metadata.namespace, metadata.name)) as take:
            written = await self._client.patch(
                cache.resource,
                metadata.name,
                metadata.namespace or None,
                patch=patch,
                kind="json",
                subresource="status",
                field_manager=STATUS_MANAGER,
            )
            return take(cache, written)


def _state(obj: KubernetesObject) -> tuple[str, str]:
    return obj.metadata.uid, obj.metadata.resource_version


def _has_other_controller(stored: ObjectMeta, manifest: Manifest) -> bool:
    wanted = {each["uid"] for each in manifest["metadata"].get("ownerReferences", ())}
    return bool(wanted) and any(each.controller and each.uid not in wanted for each in stored.owner_references)


def _merged_metadata(stored: ObjectMeta, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return *wanted* with what others put on the object, but for another controller and an obsolete label."""
    labels = {key: value for key, value in (stored.labels or {}).items() if key != TENANT}
    uids = {each["uid"] for each in wanted.get("ownerReferences", ())}
    others: list[OwnerReference] = [
        each for each in stored.owner_references if each.uid not in uids and not each.controller
    ]
    return {
        **wanted,
        "uid": stored.uid,
        "resourceVersion": stored.resource_version,
        "labels": {**labels, **wanted.get("labels", {})},
        "annotations": {**(stored.annotations or {}), **wanted.get("annotations", {})},
        "ownerReferences": [*wanted.get("ownerReferences", ()), *(to_plain(each) for each in others)],
        "finalizers": list(stored.finalizers),
    }

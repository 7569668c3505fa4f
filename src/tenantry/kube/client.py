"""The verbs of the Kubernetes API, on typed objects."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tenantry.foundation.codec import DecodeError, decode, encode
from tenantry.kube.config import ClusterConfig, Impersonation
from tenantry.kube.discovery import ApiCatalog, ApiResource
from tenantry.kube.errors import UndecodableError
from tenantry.kube.listing import Listing, fetch_all, list_version
from tenantry.kube.requests import encode_body, given, identity, impersonation_headers, url_of, write_query
from tenantry.kube.resources import Body, KubernetesObject, Resource
from tenantry.kube.transport import Call, Observer, Transport
from tenantry.kube.watch import IDLE_SECONDS, MIN_TIMEOUT_SECONDS, Batches, WatchEvent, event_batches

T = TypeVar("T", bound=KubernetesObject)
PatchKind = Literal["json", "merge", "strategic"]
Propagation = Literal["Foreground", "Background", "Orphan"]

LIST_TIMEOUT_SECONDS = 60.0
"""A page of 500 large objects may take longer than one object may."""

_PATCH_TYPES: Mapping[str, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_JSON = ("Content-Type", "application/json")
_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class Client:
    """A connection to one cluster as one identity; an async context manager, safe for concurrent use.

    What can be repeated safely is tried again a few times (:mod:`tenantry.kube.retry`); then
    each method raises:

    * ApiError, a class for each status: the server refused;
    * UnreachableError: no answer came, and a write may or may not have happened;
    * UndecodableError, CredentialsError: see :mod:`tenantry.kube.errors`.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        user_agent: str = "tenantry",
        timeout_seconds: float = 10,
        impersonation: Impersonation | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            config: The cluster and the identity.
            user_agent: For the server's audit log.
            timeout_seconds: For one try of a request; list pages get at least a minute.
            impersonation: Act as someone else; None is what the kubeconfig says, most often nobody.
            observer: Told of each answer: verb, plural, HTTP status (0: none came), seconds.
        """
        self.config = config
        self._transport = Transport(config, user_agent=user_agent, timeout_seconds=timeout_seconds, observer=observer)
        self._timeout_seconds = timeout_seconds
        self._identity = impersonation_headers(impersonation or config.impersonation)
        self._catalog = ApiCatalog(self.request)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    @property
    def transport(self) -> Transport:
        """The connections, for requests as bytes; whom this client acts as is not put on those."""
        return self._transport

    def impersonating(self, who: Impersonation) -> Client:
        """Return a client that acts as *who* over the same connections; it lives as long as this one."""
        other = object.__new__(Client)
        other.__dict__ = self.__dict__ | {"_identity": impersonation_headers(who)}
        other._catalog = ApiCatalog(other.request)
        return other

    async def get(self, resource: Resource[T], name: str, namespace: str | None = None) -> T:
        """Return the object as it is now."""
        headers = (("Accept", _METADATA),) if resource.is_metadata_only else ()
        body = await self._exchange("GET", resource.path(namespace, name), "get", resource, headers=headers)
        return _decoded(body, resource)

    async def list(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        page_size: int = 500,
    ) -> Listing[T]:
        """Return all objects at one moment, fetched in pages."""
        path = resource.path(namespace)
        selectors = given(labelSelector=label_selector, fieldSelector=field_selector)
        headers = (("Accept", _METADATA_LIST),) if resource.is_metadata_only else ()
        timeout = max(self._timeout_seconds, LIST_TIMEOUT_SECONDS)

        async def fetch(query: dict[str, str]) -> bytes:
            url = url_of(path, selectors | query)
            return await self._exchange("GET", url, "list", resource, headers=headers, timeout_seconds=timeout)

        return await fetch_all(fetch, resource, page_size=page_size)

    async def version(
        self, resource: Resource[T], namespace: str | None = None, *, selectors: Mapping[str, str]
    ) -> int:
        """Return the resource version that a list with *selectors* would have now; 0 where the server tells none."""
        url = url_of(resource.path(namespace), {**selectors, "limit": "1"})
        return list_version(await self._exchange("GET", url, "list", resource))

    async def create(
        self,
        resource: Resource[T],
        body: Body,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> T:
        """Create the object and return it as stored; *namespace* wins over the one in *body*."""
        path = resource.path(namespace or identity(body)[0])
        url = url_of(path, write_query(dry_run=dry_run, field_manager=field_manager))
        answer = await self._exchange(
            "POST", url, "create", resource, body=encode_body(body, resource), headers=(_JSON,)
        )
        return _decoded(answer, resource)

    async def update(
        self,
        resource: Resource[T],
        body: Body,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> T:
        """Replace the object and return it as stored.

        A ``metadata.resourceVersion`` in *body* is the precondition: ConflictError where
        the object is at another one.  A struct lacks the fields that it does not declare,
        so replacing a whole object with one drops them: send those to subresources only.
        """
        path = resource.path(*identity(body), subresource)
        url = url_of(path, write_query(dry_run=dry_run, field_manager=field_manager))
        answer = await self._exchange(
            "PUT", url, "update", resource, body=encode_body(body, resource), headers=(_JSON,)
        )
        return _decoded(answer, resource)

    async def apply(
        self,
        resource: Resource[T],
        body: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> T:
        """Apply *body* on the server's side (KEP-555) and return the object as stored.

        The object is the one that ``metadata`` of *body* names, created where missing.

        Raises:
            ConflictError: Another manager owns a field with another value, and *force* is not set.
        """
        path = resource.path(*identity(body), subresource)
        query = write_query(dry_run=dry_run, field_manager=field_manager) | {"force": "true" if force else "false"}
        answer = await self._exchange(
            "PATCH",
            url_of(path, query),
            "apply",
            resource,
            body=encode_body(body, resource),
            headers=(("Content-Type", "application/apply-patch+yaml"),),
            is_idempotent=True,
        )
        return _decoded(answer, resource)

    async def patch(
        self,
        resource: Resource[T],
        name: str,
        namespace: str | None = None,
        *,
        patch: object,
        kind: PatchKind,
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> T:
        """Change the object by *patch* (operations for ``json``, else a mapping) and return it as stored."""
        path = resource.path(namespace, name, subresource)
        url = url_of(path, write_query(dry_run=dry_run, field_manager=field_manager))
        headers = (("Content-Type", _PATCH_TYPES[kind]),)
        answer = await self._exchange("PATCH", url, "patch", resource, body=encode(patch), headers=headers)
        return _decoded(answer, resource)

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation | None = None,
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Delete the object; with finalizers it only starts to terminate.

        Raises:
            ConflictError: It has another *uid* or *resource_version*.
            NotFoundError: It is gone, perhaps by an earlier try of this very call.
        """
        options: dict[str, Any] = {}
        if preconditions := given(uid=uid, resourceVersion=resource_version):
            options["preconditions"] = preconditions
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if dry_run:
            options["dryRun"] = ["All"]
        await self._exchange(
            "DELETE",
            resource.path(namespace, name),
            "delete",
            resource,
            body=encode(options) if options else None,
            headers=(_JSON,) if options else (),
            is_idempotent=True,
        )

    async def delete_collection(
        self, resource: Resource[T], namespace: str | None = None, *, label_selector: str | None = None
    ) -> None:
        """Delete all objects that match, in one request."""
        url = url_of(resource.path(namespace), given(labelSelector=label_selector))
        timeout = max(self._timeout_seconds, LIST_TIMEOUT_SECONDS)
        await self._exchange("DELETE", url, "deletecollection", resource, is_idempotent=True, timeout_seconds=timeout)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> bytes:
        """Return the body of any answer; *path* is escaped, *body* is sent as JSON, bytes as they are."""
        content = body if isinstance(body, bytes) or body is None else encode(body)
        given = tuple((headers or {}).items()) or ((_JSON,) if content is not None else ())
        return await self._transport.exchange(
            Call(
                method=method,
                path=url_of(path, query or {}),
                verb=method.lower(),
                body=content,
                headers=given + self._identity,
                timeout_seconds=timeout_seconds,
                is_idempotent=method == "GET",
            )
        )

    async def watch(
        self,
        resource: Resource[T],
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncGenerator[WatchEvent[T], None]:
        """Yield what changes after *resource_version*, until the server ends the watch (5 to 10 minutes).

        One request, bookmarks included; :class:`tenantry.kube.cache.Cache` follows a kind for ever.
        Whoever may leave early wraps it in ``contextlib.aclosing``, else the connection stays open.

        Raises:
            GoneError: *resource_version* is too old: list again.
        """
        selectors = given(labelSelector=label_selector, fieldSelector=field_selector)
        async with (
            self.watching(resource, namespace, resource_version=resource_version, selectors=selectors) as batches,
            aclosing(batches),
        ):
            async for batch in batches:
                for event in batch:
                    yield event

    @asynccontextmanager
    async def watching(
        self,
        resource: Resource[T],
        namespace: str | None,
        *,
        resource_version: str,
        selectors: Mapping[str, str],
    ) -> AsyncIterator[Batches[T]]:
        """Yield the batches of one watch, once the server accepted it."""
        # At random, so that the watches of a process do not all end at once.
        timeout = random.randint(MIN_TIMEOUT_SECONDS, 2 * MIN_TIMEOUT_SECONDS)  # noqa: S311
        query = {
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout),
            **selectors,
        }
        call = Call(
            method="GET",
            path=url_of(resource.path(namespace), query),
            verb="watch",
            plural=resource.plural,
            headers=((("Accept", _METADATA),) if resource.is_metadata_only else ()) + self._identity,
        )
        async with self._transport.stream(call, idle_seconds=IDLE_SECONDS) as chunks:
            yield event_batches(chunks, resource)

    async def api_resources(self, group_version: str) -> frozenset[str]:
        """Return the plurals (subresources as ``pods/log``) that ``group/version`` serves; asked again after 30 s."""
        return await self._catalog.plurals(group_version)

    async def api_resource(self, group_version: str, plural: str) -> ApiResource | None:
        """Return how the server describes a kind; None where it is not served (asked again after a second)."""
        return await self._catalog.resource(group_version, plural)

    async def has_api(self, resource: Resource[T]) -> bool:
        """Return whether the server serves the kind in this version."""
        return resource.plural in await self._catalog.plurals(resource.api_version)

    async def _exchange(
        self,
        method: str,
        url: str,
        verb: str,
        resource: Resource[T],
        *,
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        is_idempotent: bool = False,
        timeout_seconds: float | None = None,
    ) -> bytes:
        return await self._transport.exchange(
            Call(
                method=method,
                path=url,
                verb=verb,
                plural=resource.plural,
                body=body,
                headers=headers + self._identity,
                timeout_seconds=timeout_seconds,
                is_idempotent=is_idempotent or method == "GET",
            )
        )


def _decoded(body: bytes, resource: Resource[T]) -> T:
    try:
        return decode(body, resource.type)
    except DecodeError as error:
        raise UndecodableError(f"answer for {resource.plural}: {error}") from error

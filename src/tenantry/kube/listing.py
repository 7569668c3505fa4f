"""Lists: pages fetched one after the other, each decoded straight into the kind's struct."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from tenantry.api.meta import PartialObject
from tenantry.foundation.codec import DecodeError, Model, Raw, decode, field
from tenantry.kube.errors import GoneError, UndecodableError
from tenantry.kube.resources import KubernetesObject, Resource

T = TypeVar("T", bound=KubernetesObject)
_I = TypeVar("_I")

Fetch = Callable[[dict[str, str]], Awaitable[bytes]]
"""Sends one page's request, given its part of the query."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """All objects as they were at one moment."""

    items: list[T]
    resource_version: str
    """Where a watch has to start, to miss nothing."""


class _ListMeta(Model):
    resource_version: str = ""
    token: str = field(name="continue", default="")


class _Page(Model, Generic[_I]):
    metadata: _ListMeta = _ListMeta()
    items: list[_I] | None = None  # Go writes null for an empty list.


@lru_cache(maxsize=256)
def _page_type(kind: type[Any]) -> type[_Page[Any]]:
    return cast("type[_Page[Any]]", _Page[kind])  # type: ignore[valid-type]


async def fetch_all(fetch: Fetch, resource: Resource[T], *, page_size: int) -> Listing[T]:
    """Return all pages as one listing.

    When the pages' snapshot is compacted away in the middle, the list starts again; the
    second time in one piece, which can not expire.

    Raises:
        UndecodableError: An object is not of the kind's shape; the message names it.  A list
            without it would make it look deleted.
        ApiError, UnreachableError: A page could not be had.
    """
    for size in (page_size, page_size, 0):
        try:
            return await _fetch_pages(fetch, resource, size)
        except GoneError:
            if size == 0:
                raise
    raise AssertionError("the last round returns or raises")


async def _fetch_pages(fetch: Fetch, resource: Resource[T], page_size: int) -> Listing[T]:
    items: list[T] = []
    query = {"limit": str(page_size)} if page_size else {}
    while True:
        page = _decode_page(await fetch(query), resource)
        items += page.items or ()
        if not page.metadata.token:
            return Listing(items, page.metadata.resource_version)
        query["continue"] = page.metadata.token


def _decode_page(body: bytes, resource: Resource[T]) -> _Page[T]:
    try:
        return decode(body, _page_type(resource.type))
    except DecodeError as error:
        raise UndecodableError(f"list of {resource.plural}: {_culprit(body, resource) or error}") from error


def _culprit(body: bytes, resource: Resource[T]) -> str | None:
    """Return the name of the first item that does not decode, and why."""
    try:
        page = decode(body, _page_type(Raw))
    except DecodeError:
        return None
    for item in page.items or ():
        try:
            decode(item, resource.type)
        except DecodeError as error:
            return f"{object_name(item)}: {error}"
    return None


def object_name(body: Raw) -> str:
    """Return ``namespace/name`` of an object that may be of any shape, for messages."""
    try:
        metadata = decode(body, PartialObject).metadata
    except DecodeError:
        return "an object without usable metadata"
    return f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name


def list_version(body: bytes) -> int:
    """Return the resource version of the list in *body*; 0 where it has none."""
    try:
        text = decode(body, _page_type(Raw)).metadata.resource_version
    except DecodeError as error:
        raise UndecodableError(f"not a list: {error}") from error
    return int(text) if text.isdigit() else 0

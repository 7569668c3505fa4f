"""One watch request: a stream of lines, decoded in batches as they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

import structlog

from tenantry.foundation.codec import DecodeError, Model, Raw, decode
from tenantry.kube.errors import Status, UndecodableError, error_from_status
from tenantry.kube.listing import object_name
from tenantry.kube.resources import KubernetesObject, Resource

T = TypeVar("T", bound=KubernetesObject)
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]

MIN_TIMEOUT_SECONDS = 300
"""How long the server keeps a watch open, at least; at most twice that."""
IDLE_SECONDS = 150.0
"""Silence after which a connection counts as dead: the server sends bookmarks about every minute."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """A change of one object; of a BOOKMARK's object only the resource version means something."""

    type: EventType
    object: T


Batches = AsyncGenerator[list[WatchEvent[T]], None]


class _Frame(Model):
    type: str
    object: Raw


async def event_batches(chunks: AsyncIterator[bytes], resource: Resource[T]) -> Batches[T]:
    """Yield the events of *chunks*, as many at once as arrived at once.

    An object that is not of the kind's shape is left out and logged: one bad object must
    not hide the changes of all others.

    Raises:
        GoneError: The resource version that the watch started at is too old.
        ApiError: Any other ERROR event.
        UndecodableError: A line is no watch event.
    """
    pending: list[bytes] = []
    async for chunk in chunks:
        if b"\n" not in chunk:
            pending.append(chunk)
            continue
        pending.append(chunk)
        lines = b"".join(pending).split(b"\n")
        pending = [lines.pop()]
        events = [event for line in lines if line and (event := _event(line, resource)) is not None]
        yield events


def _event(line: bytes, resource: Resource[T]) -> WatchEvent[T] | None:
    try:
        frame = decode(line, _Frame)
    except DecodeError as error:
        raise UndecodableError(f"watch of {resource.plural}: {error}") from error
    try:
        if frame.type == "ERROR":
            raise error_from_status(decode(frame.object, Status))
        return WatchEvent(cast("EventType", frame.type), decode(frame.object, resource.type))
    except DecodeError as error:
        _log.error("watch.undecodable", kind=resource.kind, name=object_name(frame.object), error=str(error))
        return None

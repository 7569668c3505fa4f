"""Which streams may begin, and when each is to end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from tenantry.foundation.clock import Clock, rfc3339_micro
from tenantry.foundation.codec import replaced
from tenantry.gateway.protocol import Answer, refusal
from tenantry.gateway.streams import messages
from tenantry.gateway.streams.envoy_filter import DETAILS_PREFIX
from tenantry.gateway.streams.heads import RefusedHeadError, StreamHead, read_head
from tenantry.gateway.streams.live import Link, LiveStream, LiveStreams
from tenantry.gateway.streams.locks import LockSet
from tenantry.gateway.streams.records import Reason, StreamRecord

TICK_SECONDS: Final = 0.25
"""How often to look for what expired; ends are late by no more."""


class Streams:
    """All streams of the gateway, of all clusters."""

    def __init__(
        self,
        *,
        secret: str,
        locks: LockSet,
        clock: Clock,
        sink: Callable[[int, StreamRecord], None],
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what to rest on.

        Args:
            secret: The word by which the script is known.
            locks: Who is locked out from the start.
            clock: Tells when credentials expire.
            sink: Takes each record, with the number of its stream (0: it never began).
            is_behind: Whether records are not being taken; none begins unrecorded.
        """
        self._secret = secret.encode()
        self._locks = locks
        self._clock = clock
        self._sink = sink
        self._is_behind = is_behind
        self._live = LiveStreams()
        self._drained_by: float | None = None

    def __len__(self) -> int:
        return len(self._live)

    def answer(self, link: Link, stream: int, message: bytes) -> bytes | None:
        """Return what to answer to a message on a call; None: the call is to fail."""
        try:
            headers = messages.request_headers(message)
            if headers is not None:
                return self._begin(link, stream, headers)
            return messages.PROCEED_TRAILERS if messages.is_response_trailers(message) else None
        except messages.MessageError:
            return None

    def closed(self, link: Link, stream: int) -> None:
        """Note that the data plane gave up the call: the request is over."""
        live = self._live.remove((link, stream))
        if live is not None:
            self._record_end(live, "Closed")

    def lock(self, locks: LockSet) -> int:
        """Lock out exactly these from now on; end their streams, and return how many those were."""
        self._locks = locks
        return self._end(self._live.take_locked(locks), "Locked")

    def drain(self, seconds: float) -> None:
        """Let none begin; end watches and logs bit by bit, and the others *seconds* from now."""
        self._drained_by = self._clock.monotonic() + seconds

    def tick(self) -> None:
        """End what has had its time; to be called each :data:`TICK_SECONDS`."""
        self._end(self._live.take_expired(self._now().timestamp()), "Expired")
        if self._drained_by is None:
            return
        left = self._drained_by - self._clock.monotonic()
        if left <= 0:
            self._end(self._live.take_all(), "Draining")
        else:
            # Bit by bit: whoever is sent away comes back at another replica, at once.
            self._end(self._live.take_unending(min(1, TICK_SECONDS / left)), "Draining")

    def _begin(self, link: Link, stream: int, headers: messages.Headers) -> bytes | None:
        if (link, stream) in self._live:
            return None  # A call holds one request; another's would be held by nobody.
        try:
            head = read_head(headers, self._secret)
        except RefusedHeadError as error:
            self._sink(0, self._refused(StreamRecord(stage="Refused"), error.token))
            return _answered(error.answer, error.token)
        if (refused := self._refusal(head)) is not None:
            token, answer = refused
            self._sink(0, self._refused(head.record, token))
            return _answered(answer, token)
        now = self._now()
        live = self._live.add((link, stream), head, time=rfc3339_micro(now), now=now.timestamp())
        self._sink(live.number, live.record)
        return messages.PROCEED

    def _refusal(self, head: StreamHead) -> tuple[str, Answer] | None:
        if self._locks.holds(head.record.user):
            message = "this user is locked: ask whoever runs the platform"
            return "Locked", refusal(403, "Forbidden", message, token="Locked")
        if head.expires is not None and head.expires <= self._now().timestamp():
            message = "the credential has expired: log in again"
            return "Expired", refusal(401, "Unauthorized", message, token="Expired")
        if self._drained_by is not None:
            message = "the gateway is stopping: try again"
            return "Draining", _unavailable(message, "Draining")
        if self._is_behind():
            message = "the gateway can not record this request now: try again"
            return "Unrecorded", _unavailable(message, "Unrecorded")
        return None

    def _end(self, streams: list[LiveStream], reason: Reason) -> int:
        # First all ends, then what is told of them.
        for live in streams:
            link, stream = live.key
            link.fail(stream)
        for live in streams:
            self._record_end(live, reason)
        return len(streams)

    def _record_end(self, live: LiveStream, reason: Reason) -> None:
        now = self._now()
        milliseconds = max(0, round((now.timestamp() - live.started) * 1000))
        ended = replaced(
            live.record, stage="Ended", time=rfc3339_micro(now), reason=reason, duration_milliseconds=milliseconds
        )
        self._sink(live.number, ended)

    def _refused(self, record: StreamRecord, token: str) -> StreamRecord:
        time = rfc3339_micro(self._now())
        return replaced(record, stage="Refused", time=time, decision="deny", reason=token)

    def _now(self) -> datetime:
        return self._clock.now()


def _answered(answer: Answer, token: str) -> bytes:
    return messages.immediate_response(
        answer.status, answer.headers, answer.body, details=f"{DETAILS_PREFIX}{token.lower()}"
    )


def _unavailable(message: str, token: str) -> Answer:
    return refusal(503, "ServiceUnavailable", message, token=token, retry_after_seconds=1)

"""What the head of a long-running request must say before it is let through: who, what, until when."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from tenantry.access.requests import RefusedRequestError, RequestInfo, request_info
from tenantry.gateway.protocol import SECRET_HEADER, Answer, refusal
from tenantry.gateway.streams.messages import Headers
from tenantry.gateway.streams.records import Kind, Principal, StreamRecord

WHOSE_HEADER: Final = "x-tenantry-stream"
"""Whose credential goes up: ``upstream``, the gateway's, so that somebody is impersonated; ``own``, the client's."""
OWN_PREFIX: Final = "x-tenantry-"
"""Before the names of the identity's headers where nobody is impersonated."""
EXPIRES_HEADER: Final = "x-tenantry-expires"
"""Unix seconds at which the credential ends, and the stream with it; absent: never."""
REAL_HEADER: Final = "x-tenantry-real"
"""The real caller; the user, where nobody acts as somebody else."""
REAL_GROUP_HEADER: Final = "x-tenantry-real-group"
ID_HEADER: Final = "x-tenantry-id"
HOW_HEADER: Final = "x-tenantry-how"
CLUSTER_HEADER: Final = "x-tenantry-cluster"

_KINDS: Final[dict[str, Kind]] = {
    "log": "log",
    "exec": "exec",
    "attach": "attach",
    "portforward": "portforward",
    "proxy": "proxy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHead:
    """A long-running request that begins."""

    record: StreamRecord
    """Of its start, without the time."""
    expires: float | None = None
    """Unix seconds."""


class RefusedHeadError(Exception):
    """The request may not go on."""

    def __init__(self, answer: Answer, token: str) -> None:
        self.answer = answer
        self.token = token
        super().__init__(token)


def read_head(headers: Headers, secret: bytes) -> StreamHead:
    """Return what *headers* say.

    Args:
        headers: As they reach the filter, after script and guard; lower-case names.
        secret: The word by which the script is known.

    Raises:
        RefusedHeadError: The secret or the user is missing, doubled or wrong, or the path is none to forward.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    shown = values.get(SECRET_HEADER, [])
    if len(shown) != 1 or not hmac.compare_digest(shown[0].encode("utf-8", "surrogateescape"), secret):
        raise _refused(403, "Forbidden", "the request did not come through the gateway's door", "Secret")
    principal = _principal(values)
    try:
        info = request_info(_one(values, ":method"), _one(values, ":path"))
    except RefusedRequestError as error:
        raise _refused(400, "BadRequest", str(error), error.token) from None
    record = StreamRecord(
        stage="Started",
        # Request ids are the data plane's own; clients' Audit-IDs are overwritten with them.
        audit_id=_one(values, "audit-id") or _one(values, "x-request-id"),
        cluster=_one(values, CLUSTER_HEADER),
        user=principal,
        kind=_kind(info),
        verb=info.verb,
        api_group=info.api_group,
        api_version=info.api_version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        method=info.method,
        path=info.path,
        decision="allow",
    )
    return StreamHead(record=record, expires=_expires(_one(values, EXPIRES_HEADER)))


def _kind(info: RequestInfo) -> Kind:
    if info.verb == "watch":
        return "watch"
    return _KINDS.get(info.subresource) or _KINDS.get(info.verb) or "upgrade"


def _principal(values: dict[str, list[str]]) -> Principal:
    is_own = _one(values, WHOSE_HEADER) == "own"
    prefix = OWN_PREFIX if is_own else ""
    user, real = _one(values, f"{prefix}impersonate-user"), _one(values, REAL_HEADER)
    if not user:
        raise _refused(403, "Forbidden", "the request does not say whose it is", "NoUser")
    if is_own and _one(values, "impersonate-user"):
        raise _refused(403, "Forbidden", "the request is made as two users", "TwoUsers")
    is_somebody_else = real not in ("", user)
    groups = {*values.get(f"{prefix}impersonate-group", ())}
    real_groups = {*values.get(REAL_GROUP_HEADER, ())}
    return Principal(
        name=user,
        groups=tuple(sorted(groups if is_somebody_else else groups | real_groups)),
        real_name=real if is_somebody_else else "",
        real_groups=tuple(sorted(real_groups)) if is_somebody_else else (),
        how=_one(values, HOW_HEADER),
        id=_one(values, ID_HEADER),
    )


def _one(values: dict[str, list[str]], name: str) -> str:
    found = values.get(name, [])
    if len(found) > 1:
        raise _refused(400, "BadRequest", f"{name} is there {len(found)} times", "Doubled")
    return found[0] if found else ""


def _expires(text: str) -> float | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise _refused(400, "BadRequest", "the credential's end is no number", "Expires")
    return float(text)


def _refused(status: int, reason: str, message: str, token: str) -> RefusedHeadError:
    return RefusedHeadError(refusal(status, reason, message, token=token), token)

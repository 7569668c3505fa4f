"""What the head of a long-running request must say before it is let through: who, what, until when."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from tenantry.gateway.protocol import SECRET_HEADER, Answer, refusal
from tenantry.gateway.streams.messages import Headers

KIND_HEADER: Final = "x-tenantry-kind"
EXPIRES_HEADER: Final = "x-tenantry-expires"
"""Unix seconds at which the credential ends, and the stream with it; absent: never."""
REAL_HEADER: Final = "x-tenantry-real"
"""The real caller, where the user is impersonated by a client, or where the client's own token goes up."""
REAL_GROUP_HEADER: Final = "x-tenantry-real-group"
OWN_HEADER: Final = "x-tenantry-own"
"""``1``: the client's own token goes up, so nobody is impersonated."""
IDENTITY_HEADER: Final = "x-tenantry-id"
CLUSTER_HEADER: Final = "x-tenantry-cluster"

Kind = Literal["watch", "log", "exec", "attach", "portforward", "proxy", "upgrade"]
KINDS: Final = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a stream belongs to; all streams of one share one value."""

    user: str
    """Who the API server sees."""
    groups: frozenset[str] = frozenset()
    real_user: str = ""
    """Who asked, where that is somebody else."""
    real_groups: frozenset[str] = frozenset()
    identity: str = ""
    """The script's name of the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHead:
    """A long-running request that begins."""

    principal: Principal
    kind: Kind
    method: str
    path: str
    """Without the query, which may hold a token."""
    audit_id: str = ""
    cluster: str = ""
    expires: float | None = None


@dataclass(slots=True)
class RefusedHeadError(Exception):
    """The request may not go on."""

    answer: Answer
    token: str = field(default="")


def read_head(headers: Headers, secret: bytes) -> StreamHead:
    """Return what *headers* say.

    Args:
        headers: As they reach the filter, after script and guard; lower-case names.
        secret: The word by which the script is known.

    Raises:
        RefusedHeadError: The secret, the user or the kind is missing, doubled or wrong.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    shown = values.get(SECRET_HEADER, [])
    if len(shown) != 1 or not hmac.compare_digest(shown[0].encode("utf-8", "surrogateescape"), secret):
        raise _refused(403, "Forbidden", "the request did not come through the gateway's door", "Secret")
    kind = _one(values, KIND_HEADER)
    if kind not in KINDS:
        raise _refused(400, "BadRequest", "not a long-running request that the gateway knows", "Kind")
    return StreamHead(
        principal=_principal(values),
        kind=kind,  # type: ignore[arg-type] # it is one of them
        method=_one(values, ":method"),
        path=_one(values, ":path").partition("?")[0],
        # Request ids are the data plane's own; clients' Audit-IDs are overwritten with them.
        audit_id=_one(values, "audit-id") or _one(values, "x-request-id"),
        cluster=_one(values, CLUSTER_HEADER),
        expires=_expires(_one(values, EXPIRES_HEADER)),
    )


def _principal(values: dict[str, list[str]]) -> Principal:
    user, real = _one(values, "impersonate-user"), _one(values, REAL_HEADER)
    is_own = _one(values, OWN_HEADER) == "1"
    groups, real_groups = _groups(values, "impersonate-group"), _groups(values, REAL_GROUP_HEADER)
    if is_own and not user:
        # Nobody is impersonated: the real caller is who the API server sees.
        user, groups = real, real_groups
    if not user:
        raise _refused(403, "Forbidden", "the request does not say whose it is", "NoUser")
    if real in ("", user):
        return Principal(user=user, groups=groups | real_groups, identity=_one(values, IDENTITY_HEADER))
    return Principal(
        user=user, groups=groups, real_user=real, real_groups=real_groups, identity=_one(values, IDENTITY_HEADER)
    )


def _groups(values: dict[str, list[str]], name: str) -> frozenset[str]:
    return frozenset(group for group in values.get(name, ()) if group)


def _one(values: dict[str, list[str]], name: str) -> str:
    found: Sequence[str] = values.get(name, ())
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

"""What an authenticator found out, and the lines that tell the data plane."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import identity_lines
from tenantry.foundation.codec import encode
from tenantry.gateway.identity.observing import How
from tenantry.gateway.protocol import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A credential that holds."""

    identity: Identity
    how: How
    expires: float | None
    """Unix seconds; None: it does not end by itself."""
    fresh_seconds: float
    """How long nobody needs to ask again."""
    stale_seconds: float
    """How long it holds if nobody can be asked."""
    is_external: bool = True
    """Whether somebody else than the API server gave the names."""
    is_own_token: bool = False
    """Whether the API server itself accepts the token as this very user."""


def answer(accepted: Accepted, identity: Identity, *, real_user: str | None, now: float) -> Answer:
    """Return what the script is told.

    Args:
        accepted: Of the credential.
        identity: Whom to act as upstream; differs from the credential's where the client impersonates.
        real_user: Who acts as somebody else; None where nobody does.
        now: Unix seconds.
    """
    left = accepted.expires - now if accepted.expires is not None else float("inf")
    lines = [
        (":fresh", f"{max(0.0, min(accepted.fresh_seconds, left)):.1f}"),
        (":stale", f"{max(0.0, min(accepted.stale_seconds, left)):.1f}"),
        (":id", identity_hash(identity)),
        (":how", accepted.how),
    ]
    if accepted.expires is not None:
        lines.append((":expires", str(int(accepted.expires))))
    if real_user is not None:
        lines.append((":real", real_user))
    elif accepted.is_own_token:
        lines.append((":own", "1"))
    return Answer(lines=(*lines, *identity_lines(identity)))


def identity_hash(identity: Identity) -> str:
    """Return 16 hex digits, the same in every process for equal identities."""
    parts = (identity.user, identity.groups, identity.uid, identity.extra)
    return hashlib.sha256(encode(parts)).hexdigest()[:16]

"""``continue`` of a list over all namespaces: where the next page begins, bound to whom and what it was given for."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final

from tenantry.access.identity import Identity
from tenantry.foundation.codec import DecodeError, Model, decode, encode
from tenantry.foundation.errors import RejectedError

_MAC_BYTES: Final = 32
_DIGEST_CHARACTERS: Final = 32


class Cursor(Model):
    """Where the next page begins."""

    namespace: str
    token: str = ""
    """The API server's own, within the namespace; empty: at its beginning."""
    version: str = ""
    """The list's, the same on each page."""
    resource_version: str = ""
    """Asked for with the first page, and meant for the namespaces that are still to come."""
    resource_version_match: str = ""


class _Sealed(Model):
    cursor: Cursor
    seen: str


class BadCursorError(RejectedError):
    """The token is none of ours by its shape."""

    reason: ClassVar[str] = "BadRequest"
    http_status: ClassVar[int] = 400


class ExpiredCursorError(RejectedError):
    """The list that the token belongs to can not go on."""

    reason: ClassVar[str] = "Expired"
    http_status: ClassVar[int] = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a token is good for; with anything else it is refused (invariant 12)."""

    identity: Identity
    cluster: str
    query: tuple[tuple[str, str], ...]
    """What decides which objects are listed: kind and selectors."""
    namespaces: Sequence[str]
    """The visible set, in order."""

    def statement(self) -> bytes:
        """Return all but the visible set as bytes, unambiguously."""
        who = self.identity
        # Without the extras: they name the credential, which a client renews in the middle of a long list.
        return encode([who.user, who.uid, sorted(who.groups), self.cluster, sorted(self.query)])

    def seen(self) -> str:
        """Return a digest of the visible set."""
        return sha256(encode(list(self.namespaces))).hexdigest()[:_DIGEST_CHARACTERS]


def sealed(cursor: Cursor, binding: Binding, key: bytes) -> str:
    """Return *cursor* as a token, which :func:`opened` takes back for the same *binding* alone."""
    payload = encode(_Sealed(cursor=cursor, seen=binding.seen()))
    return base64.urlsafe_b64encode(_mac(payload, binding, key) + payload).rstrip(b"=").decode()


def opened(token: str, binding: Binding, key: bytes) -> Cursor:
    """Return the cursor in *token*.

    Raises:
        BadCursorError: It is no token.
        ExpiredCursorError: It was given to someone else, for another query, by a gateway with
            another key, or the visible namespaces are others now.
    """
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mac, payload = data[:_MAC_BYTES], data[_MAC_BYTES:]
        found = decode(payload, _Sealed)
    except (binascii.Error, ValueError, DecodeError) as error:
        raise BadCursorError("continue key is not valid: start the list again without it") from error
    if not hmac.compare_digest(mac, _mac(payload, binding, key)):
        # As expired, since that makes clients list again, and a gateway that started anew has a new key.
        raise ExpiredCursorError("The provided continue parameter is not valid here: start the list again without it.")
    if found.seen != binding.seen():
        raise ExpiredCursorError(
            "The namespaces that are visible to you changed since the list began: start it again without continue."
        )
    return found.cursor


def _mac(payload: bytes, binding: Binding, key: bytes) -> bytes:
    statement = binding.statement()
    return hmac.digest(key, len(statement).to_bytes(8, "big") + statement + payload, "sha256")

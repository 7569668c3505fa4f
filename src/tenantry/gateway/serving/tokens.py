"""Where a list goes on: ``continue``, bound to who asked for what, and to what they could see (invariant 12)."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.requests import RequestInfo
from tenantry.access.sight import Sight
from tenantry.foundation.codec import DecodeError, Model, decode, encode
from tenantry.gateway.serving.refusals import bad_request, expired

_MAC_BYTES: Final = 24
_NOT_OF_THE_QUERY: Final = frozenset({"continue", "limit", "timeoutSeconds"})
_EXPIRED: Final = (
    "The provided continue parameter is too old, or what may be seen changed since: "
    "list again without the continue parameter"
)


class Place(Model):
    """Up to where a list got."""

    version: int
    """Of the state that all pages are of; 0 where the kind has none."""
    after: str
    """The last name sent."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Writes and reads them for one cluster."""

    key: bytes
    """Shared by the replicas, where a list should go on at another one."""
    cluster: str

    def write(self, place: Place, identity: Identity, info: RequestInfo, sight: Sight) -> str:
        """Return the token for the next page."""
        content = encode(place)
        return base64.urlsafe_b64encode(self._mac(content, identity, info, sight) + content).decode().rstrip("=")

    def read(self, token: str, identity: Identity, info: RequestInfo, sight: Sight) -> Place:
        """Return where the list goes on.

        Raises:
            RefusedError: 410, the token was not made for this caller, query and sight, or by
                another key; 400, it is none at all.
        """
        try:
            data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            place = decode(data[_MAC_BYTES:], Place)
        except (binascii.Error, ValueError, DecodeError) as error:
            raise bad_request("invalid continue token: continue key is not valid") from error
        if not hmac.compare_digest(data[:_MAC_BYTES], self._mac(data[_MAC_BYTES:], identity, info, sight)):
            raise expired(_EXPIRED, why="ContinueRefused")
        return place

    def _mac(self, content: bytes, identity: Identity, info: RequestInfo, sight: Sight) -> bytes:
        query = sorted(pair for pair in info.query if pair[0] not in _NOT_OF_THE_QUERY)
        seen = (sight.everything, sorted(sight.names), sight.rules)
        bound = repr((self.cluster, identity, info.path, query, seen)).encode("utf-8", "surrogateescape")
        return blake2b(bound + b"\0" + content, key=self.key, digest_size=_MAC_BYTES).digest()

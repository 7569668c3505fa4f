"""The data plane's lines, sorted into what a client showed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from tenantry.access.identity_headers import Lines
from tenantry.access.refusals import CredentialError, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that one request brought; several kinds of credential may be present at once."""

    authorization: tuple[str, ...] = field(default=(), repr=False)
    websocket_bearer: tuple[str, ...] = field(default=(), repr=False)
    certificate: str | None = None
    """URL-encoded PEM of a certificate that the data plane verified against the client CA."""
    has_unverified_certificate: bool = False
    may_have_certificate: bool = False
    """Whether nobody was asked for one, since the client CA is not known yet."""
    forwarded_certificate: tuple[str, ...] = ()
    peer: str = ""
    """Who connected; only where a forwarded certificate is present."""
    impersonation: Lines = ()

    @property
    def has_token(self) -> bool:
        """Whether a token is present, readable or not."""
        return bool(self.authorization or self.websocket_bearer)

    @property
    def has_certificate(self) -> bool:
        """Whether a certificate was shown on this connection, valid or not."""
        return self.certificate is not None or self.has_unverified_certificate

    def token(self) -> str:
        """Return the bearer token.

        Raises:
            CredentialError: What is present is none.
        """
        if self.authorization:
            return _bearer(self.authorization)
        return _websocket_bearer(self.websocket_bearer)


def shown(lines: Iterable[tuple[str, str]]) -> Shown:
    """Return what *lines* bring; lines that are not about identity are ignored."""
    by_name: dict[str, list[str]] = {}
    impersonation: list[tuple[str, str]] = []
    for name, value in lines:
        if name.lower().replace("_", "-").startswith("impersonate-"):
            impersonation.append((name, value))
        else:
            by_name.setdefault(name, []).append(value)
    certificates = by_name.get("certificate", [])
    return Shown(
        authorization=tuple(by_name.get("authorization", ())),
        websocket_bearer=tuple(by_name.get("websocket-bearer", ())),
        certificate=certificates[0] if len(certificates) == 1 else None,
        # Two verified certificates on one connection can't be: whatever that is, it is none.
        has_unverified_certificate="certificate-unverified" in by_name or len(certificates) > 1,
        may_have_certificate="certificate-unasked" in by_name,
        forwarded_certificate=tuple(by_name.get("forwarded-certificate", ())),
        peer=by_name.get("peer", [""])[0],
        impersonation=tuple(impersonation),
    )


def _bearer(headers: tuple[str, ...]) -> str:
    scheme, _, token = headers[0].strip(" ").partition(" ")
    token = token.strip(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token or not token.isascii() or " " in token:
        raise CredentialError(Reason.UNSUPPORTED_SCHEME, "the Authorization header is not: Bearer <token>")
    return token


def _websocket_bearer(values: tuple[str, ...]) -> str:
    """Return the token of a subprotocol: base64url without padding, and nothing else (KEP: websocket bearer)."""
    try:
        if len(values) != 1 or not set(values[0]).isdisjoint("+/="):
            raise ValueError("not base64url")  # noqa: TRY301 - one way out
        padded = values[0] + "=" * (-len(values[0]) % 4)
        token = base64.b64decode(padded, altchars=b"-_", validate=True).decode("utf-8")
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise CredentialError(
            Reason.WEBSOCKET_ENCODING, "the token in Sec-WebSocket-Protocol is not unpadded base64url"
        ) from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialError(Reason.WEBSOCKET_ENCODING, "the token in Sec-WebSocket-Protocol is no bearer token")
    return token

"""Why a credential, or whoever it names, is refused: one list of stable tokens for answers, audit and metrics."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from tenantry.foundation.errors import TenantryError


class Reason(StrEnum):
    """What went wrong; each token stands for one thing to do about it."""

    NO_CREDENTIAL = "NoCredential"
    """None of the kinds that the gateway takes was sent: log in."""
    UNSUPPORTED_SCHEME = "UnsupportedScheme"
    """``Authorization`` is not one ``Bearer`` token."""
    WEBSOCKET_ENCODING = "WebsocketEncoding"
    """The subprotocol that carries the token is not unpadded URL-safe base64 of UTF-8."""
    MALFORMED_TOKEN = "MalformedToken"  # noqa: S105
    """A configured issuer's token cannot be read, or its claims are of the wrong types."""
    ALGORITHM = "Algorithm"
    """Signed by an algorithm that the API server does not take either."""
    UNKNOWN_KEY = "UnknownKey"
    """The issuer publishes no such key, or no longer."""
    BAD_SIGNATURE = "BadSignature"
    """The signature is not that key's."""
    AUDIENCE = "Audience"
    """The token is meant for somebody else."""
    EXPIRED = "Expired"
    NOT_YET_VALID = "NotYetValid"
    """More than a minute ahead of the gateway's clock."""
    TOO_LONG_LIVED = "TooLongLived"
    """It lives longer than the gateway's settings allow."""
    CLAIM_VALIDATION = "ClaimValidation"
    """A claim validation rule of the issuer says no."""
    USER_VALIDATION = "UserValidation"
    """A user validation rule of the issuer says no."""
    EMAIL_NOT_VERIFIED = "EmailNotVerified"
    CLAIM_MAPPING = "ClaimMapping"
    """A claim that a name comes from is missing, empty or of the wrong type."""
    GROUP_OVERAGE = "GroupOverage"
    """The issuer left the groups out since there are too many: have it send fewer."""
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105
    """The API server does not accept the token."""
    CERTIFICATE = "Certificate"
    """The client certificate is not valid: its issuer, its dates, its purpose, its subject, or revoked."""
    CERTIFICATE_NAME = "CertificateName"
    """The certificate carries none of the alternative names that the settings ask for."""
    FORWARDED_MALFORMED = "ForwardedMalformed"
    """The header with a forwarded certificate is there twice, has several elements, or cannot be read."""

    UNTRUSTED_FORWARDER = "UntrustedForwarder"
    """A forwarded certificate came from an address that may not forward any."""
    LOCKED = "Locked"
    """An administrator locked the user or one of the groups."""
    SYSTEM_NAME = "SystemName"
    """An issuer or a certificate gives a name that is the cluster's own."""
    PRINCIPAL = "Principal"
    """A name cannot be sent in a header unchanged."""
    RESERVED_NAME = "ReservedName"
    """A name that only the gateway itself uses."""
    EXTRA = "Extra"
    """An extra cannot be forwarded."""
    IMPERSONATION_DISABLED = "ImpersonationDisabled"
    IMPERSONATION_MALFORMED = "ImpersonationMalformed"
    """The client's headers about acting as somebody else make no sense."""
    IMPERSONATION_DENIED = "ImpersonationDenied"
    """The caller has no right to act as whom it asks for."""

    KEYS_UNAVAILABLE = "KeysUnavailable"
    """The issuer's keys were never had, or are older than the settings allow."""
    CLIENT_CA_UNAVAILABLE = "ClientCAUnavailable"
    REVIEW_UNAVAILABLE = "ReviewUnavailable"
    """The API server does not answer, and nothing recent is known."""
    INTERNAL = "Internal"
    """A bug of the gateway: its log has the rest."""


_FORBIDDEN: Final = frozenset(
    {
        Reason.UNTRUSTED_FORWARDER,
        Reason.LOCKED,
        Reason.SYSTEM_NAME,
        Reason.PRINCIPAL,
        Reason.RESERVED_NAME,
        Reason.EXTRA,
        Reason.IMPERSONATION_DISABLED,
        Reason.IMPERSONATION_DENIED,
    }
)
_UNAVAILABLE: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.CLIENT_CA_UNAVAILABLE, Reason.REVIEW_UNAVAILABLE})


def http_status(reason: Reason) -> int:
    """Return 401 where another credential helps, 403 where none does, 503 where waiting does."""
    if reason in _FORBIDDEN:
        return 403
    if reason in _UNAVAILABLE:
        return 503
    return {Reason.IMPERSONATION_MALFORMED: 400, Reason.INTERNAL: 500}.get(reason, 401)


class CredentialError(TenantryError):
    """Somebody is not let in; the text is for whoever asked, and holds no secret."""

    reason: ClassVar[str] = "CredentialRefused"

    def __init__(self, why: Reason, message: str) -> None:
        super().__init__(message)
        self.why = why
        self.message = message

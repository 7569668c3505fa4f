"""JSON Web Tokens: their parts, and whether a signature is a key's (RFC 7515, 7517, 7518)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.codec import DecodeError, decode, encode

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
"""What kube-apiserver takes: neither ``none`` nor shared secrets."""
MAX_TOKEN_BYTES: Final = 64 * 1024
MIN_RSA_BITS: Final = 2048

_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_SIGNATURES: Final = jwt.PyJWS(algorithms=ALGORITHMS, options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it reads; nothing is verified yet."""

    text: str = field(repr=False)
    algorithm: str
    key_id: str
    """Empty where the token names no key: any of the issuer's may have signed it."""
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of an issuer."""

    key_id: str
    kind: str
    """``RSA``, or the name of a curve."""
    algorithm: str
    """The only one to use it with; empty for any that fits."""
    public: RSAPublicKey | EllipticCurvePublicKey
    thumbprint: bytes
    """Equal for equal keys under equal names."""

    def fits(self, token: Token) -> bool:
        """Return whether it may have signed *token*."""
        return (
            (not token.key_id or token.key_id == self.key_id)
            and self.algorithm in {"", token.algorithm}
            and self.kind == _CURVES.get(token.algorithm, "RSA")
        )


def untrusted_claims(text: str) -> Mapping[str, Any]:
    """Return what a token says of itself; empty where it is no JSON Web Token."""
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MAX_TOKEN_BYTES:
        return {}
    try:
        return decode(_decoded(parts[1]), dict[str, Any])
    except (ValueError, DecodeError):
        return {}


def read_token(text: str) -> Token:
    """Return the parts of *text*.

    Raises:
        CredentialError: It is not readable, or of an algorithm that is never taken.
    """
    claims = untrusted_claims(text)
    try:
        header = decode(_decoded(text.partition(".")[0]), dict[str, Any])
    except (ValueError, DecodeError):
        header = {}
    if not claims or not header:
        raise CredentialError(Reason.MALFORMED_TOKEN, "the token is not readable")
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS:
        raise CredentialError(Reason.ALGORITHM, f"tokens signed by {algorithm!r} are not taken")
    if not isinstance(key_id, str) or "crit" in header:
        raise CredentialError(Reason.MALFORMED_TOKEN, "the token's header asks for what the gateway does not know")
    return Token(text, algorithm, key_id, claims)


def is_signed_by(token: Token, key: Key) -> bool:
    """Return whether *key* signed *token*."""
    try:
        _SIGNATURES.decode_complete(token.text, key.public, algorithms=[token.algorithm])
    except jwt.exceptions.PyJWTError:
        return False
    return True


def read_keys(document: bytes) -> tuple[Key, ...]:
    """Return the signature keys of a JWK set; such as cannot be used are left out.

    Raises:
        ValueError: It is no JWK set.
    """
    try:
        listed = decode(document, dict[str, Any]).get("keys")
    except DecodeError as error:
        raise ValueError(f"not a JSON Web Key set: {error}") from error
    if not isinstance(listed, list):
        raise ValueError("not a JSON Web Key set: it has no keys")  # noqa: TRY004 - one kind for all that is wrong
    return tuple(_usable(item for item in listed if isinstance(item, dict)))


def _usable(listed: Iterable[dict[str, Any]]) -> Iterable[Key]:
    for item in listed:
        if item.get("use", "sig") != "sig" or "d" in item:
            continue
        public = _public_key(item)
        if public is None or (isinstance(public, RSAPublicKey) and public.key_size < MIN_RSA_BITS):
            continue
        key_id, algorithm = item.get("kid", ""), item.get("alg", "")
        if not isinstance(key_id, str) or algorithm not in {"", *ALGORITHMS}:
            continue
        kind = "RSA" if isinstance(public, RSAPublicKey) else str(item["crv"])
        parts = {name: item.get(name) for name in ("kty", "kid", "alg", "n", "e", "crv", "x", "y")}
        yield Key(key_id, kind, algorithm, public, encode(parts))


def _public_key(item: dict[str, Any]) -> RSAPublicKey | EllipticCurvePublicKey | None:
    try:
        match item.get("kty"):
            case "RSA":
                key: object = RSAAlgorithm.from_jwk(item)
            case "EC":
                key = ECAlgorithm.from_jwk(item)
            case _:
                return None
    except (jwt.exceptions.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey | EllipticCurvePublicKey) else None


def _decoded(part: str) -> bytes:
    """Return unpadded URL-safe base64 decoded, strictly."""
    if "=" in part or "+" in part or "/" in part:
        raise ValueError("not base64url")
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error

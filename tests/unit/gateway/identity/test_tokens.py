"""Only signatures of the issuer's keys count, by the algorithms of the API server."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tenantry.access.refusals import CredentialError, Reason
from tenantry.foundation.codec import encode
from tenantry.gateway.identity.tokens import ALGORITHMS, MAX_TOKEN_BYTES, is_signed_by, read_keys, read_token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVES = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}


def rsa_jwk(**more: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa", **more}


def ec_jwk(algorithm: str) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(CURVES[algorithm].public_key(), as_dict=True), "kid": algorithm}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(encode(value)).decode().rstrip("=")


KEYS = read_keys(encode({"keys": [rsa_jwk(), *(ec_jwk(algorithm) for algorithm in CURVES)]}))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_of_the_api_server_verifies(algorithm: str) -> None:
    key = CURVES.get(algorithm, RSA)
    token = read_token(
        jwt.encode({"iss": "x"}, key, algorithm, headers={"kid": algorithm if algorithm in CURVES else "rsa"})
    )
    signers = [found.key_id for found in KEYS if found.fits(token) and is_signed_by(token, found)]
    assert signers == [token.key_id]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_names_no_key_may_be_any_fitting_ones(algorithm: str) -> None:
    token = read_token(jwt.encode({"iss": "x"}, CURVES.get(algorithm, RSA), algorithm))
    assert [found.key_id for found in KEYS if found.fits(token)] == [algorithm if algorithm in CURVES else "rsa"]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "EdDSA", "RS1", "", None, ["RS256"]])
def test_other_algorithms_are_refused(algorithm: object) -> None:
    text = f"{part({'alg': algorithm, 'kid': 'rsa'})}.{part({'iss': 'x'})}.AAAA"
    with pytest.raises(CredentialError) as caught:
        read_token(text)
    assert caught.value.why is Reason.ALGORITHM


def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = base64.urlsafe_b64encode(pem).decode()
    with pytest.raises(CredentialError):
        read_token(jwt.encode({"iss": "x"}, secret, "HS256"))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"kid": 5}])
def test_headers_that_change_the_meaning_are_refused(header: dict[str, Any]) -> None:
    with pytest.raises(CredentialError) as caught:
        read_token(f"{part({'alg': 'RS256', **header})}.{part({'iss': 'x'})}.AAAA")
    assert caught.value.why is Reason.MALFORMED_TOKEN


def test_keys_and_urls_in_the_header_are_not_looked_at() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = RSAAlgorithm.to_jwk(other.public_key(), as_dict=True)
    forged = jwt.encode({"iss": "x"}, other, "RS256", headers={"jwk": jwk, "jku": "https://evil", "kid": "rsa"})
    token = read_token(forged)
    assert not any(key.fits(token) and is_signed_by(token, key) for key in KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "..",
        f"{part({'alg': 'RS256'})}.{part([])}.AAAA",
        f"{part({'alg': 'RS256'})}.e30=.AAAA",
        "a" * MAX_TOKEN_BYTES + ".b.c",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(CredentialError) as caught:
        read_token(text)
    assert caught.value.why is Reason.MALFORMED_TOKEN


def test_a_changed_payload_is_not_signed() -> None:
    head, _, signature = jwt.encode({"iss": "x"}, RSA, "RS256", headers={"kid": "rsa"}).split(".")
    token = read_token(f"{head}.{part({'iss': 'x', 'sub': 'root'})}.{signature}")
    assert not any(is_signed_by(token, key) for key in KEYS if key.fits(token))


def test_keys_that_are_not_for_signatures_are_left_out() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it must not be taken
    edwards = base64.urlsafe_b64encode(
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    document = {
        "keys": [
            rsa_jwk(use="enc"),
            rsa_jwk(alg="RSA-OAEP"),
            {**RSAAlgorithm.to_jwk(RSA, as_dict=True), "kid": "private"},
            {**RSAAlgorithm.to_jwk(small.public_key(), as_dict=True), "kid": "small"},
            {"kty": "oct", "k": "AAAA"},
            {"kty": "OKP", "crv": "Ed25519", "x": edwards.decode().rstrip("=")},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "RSA"},
            "nothing",
            rsa_jwk(kid="good", use="sig", alg="PS256"),
        ]
    }
    assert [(key.key_id, key.kind, key.algorithm) for key in read_keys(encode(document))] == [("good", "RSA", "PS256")]


def test_a_keys_own_algorithm_is_the_only_one() -> None:
    (key,) = read_keys(encode({"keys": [rsa_jwk(alg="PS256")]}))
    assert not key.fits(read_token(jwt.encode({"iss": "x"}, RSA, "RS256", headers={"kid": "rsa"})))


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b"<html>"])
def test_what_is_no_key_set_is_told(document: bytes) -> None:
    with pytest.raises(ValueError, match="JSON Web Key set"):
        read_keys(document)

"""What a client showed, sorted out of the data plane's lines."""

from __future__ import annotations

import base64

import pytest

from tenantry.access.refusals import CredentialError, Reason
from tenantry.gateway.identity.credentials import Shown, shown


def test_lines_are_sorted_by_what_they_show() -> None:
    lines = (
        ("authorization", "Bearer a"),
        ("certificate", "PEM"),
        ("forwarded-certificate", "Cert=1"),
        ("forwarded-certificate", "Cert=2"),
        ("peer", "10.0.0.1"),
        ("impersonate-user", "bob"),
        ("Impersonate_Group", "devs"),
        ("x-other", "ignored"),
    )
    assert shown(lines) == Shown(
        authorization=("Bearer a",),
        certificate="PEM",
        forwarded_certificate=("Cert=1", "Cert=2"),
        peer="10.0.0.1",
        impersonation=(("impersonate-user", "bob"), ("Impersonate_Group", "devs")),
    )


def test_two_verified_certificates_are_none() -> None:
    seen = shown((("certificate", "one"), ("certificate", "two")))
    assert (seen.certificate, seen.has_unverified_certificate) == (None, True)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", " BEARER  abc "])
def test_the_scheme_has_no_case(header: str) -> None:
    assert shown((("authorization", header),)).token() == "abc"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "abc", "Bearer å", "Bearerabc"])
def test_whatever_is_no_bearer_token_is_refused(header: str) -> None:
    """It is present all the same: another credential does not stand in for it."""
    seen = shown((("authorization", header),))
    assert seen.has_token
    with pytest.raises(CredentialError) as caught:
        seen.token()
    assert caught.value.why is Reason.UNSUPPORTED_SCHEME


def test_two_authorization_headers_are_refused() -> None:
    with pytest.raises(CredentialError):
        shown((("authorization", "Bearer a"), ("authorization", "Bearer a"))).token()


def test_a_websockets_token_is_unpadded_base64url() -> None:
    token = "a?>b~c.d_e"
    protocol = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    assert "-" in protocol or "_" in protocol
    assert shown((("websocket-bearer", protocol),)).token() == token


@pytest.mark.parametrize("protocol", ["", "YQ==", "a+b/", "YQ=", "Y", "_-_-", "YSBi", "Cg"])
def test_other_encodings_are_refused(protocol: str) -> None:
    seen = shown((("websocket-bearer", protocol),))
    assert seen.has_token
    with pytest.raises(CredentialError) as caught:
        seen.token()
    assert caught.value.why is Reason.WEBSOCKET_ENCODING


def test_two_websocket_tokens_are_refused() -> None:
    with pytest.raises(CredentialError):
        shown((("websocket-bearer", "YQ"), ("websocket-bearer", "YQ"))).token()


def test_the_authorization_header_goes_before_the_websockets() -> None:
    """As in the API server."""
    assert shown((("authorization", "Bearer a"), ("websocket-bearer", "Yg"))).token() == "a"

"""Answers of the server become errors of our tree."""

from __future__ import annotations

import pytest

from tenantry.foundation.codec import encode
from tenantry.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidObjectError,
    NotFoundError,
    ServerError,
    StatusCause,
    StatusDetails,
    TooManyRequestsError,
    UnauthorizedError,
    error_from_response,
)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", ApiError),
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (405, "MethodNotAllowed", ApiError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (410, "Gone", GoneError),
        (422, "Invalid", InvalidObjectError),
        (429, "TooManyRequests", TooManyRequestsError),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
    ],
)
def test_each_status_has_its_error(code: int, reason: str, expected: type[ApiError]) -> None:
    error = error_from_response(code, encode({"message": "no", "reason": reason, "code": code}))

    assert (type(error), str(error), error.status, error.api_reason) == (expected, "no", code, reason)


def test_details_and_causes_are_kept() -> None:
    body = encode(
        {
            "message": "bad",
            "reason": "Invalid",
            "details": {"name": "a", "kind": "Tenant", "causes": [{"reason": "R", "message": "m", "field": "spec.x"}]},
        }
    )
    error = error_from_response(422, body)

    assert error.details == StatusDetails(
        name="a", kind="Tenant", causes=(StatusCause(reason="R", message="m", field="spec.x"),)
    )
    assert error.has_cause("R")
    assert not error.has_cause("Other")


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("3", b"{}", 3.0),
        (None, b'{"details":{"retryAfterSeconds":2}}', 2.0),
        ("3", b'{"details":{"retryAfterSeconds":2}}', 3.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", b"{}", None),
        (None, b"{}", None),
    ],
)
def test_the_server_says_how_long_to_wait(header: str | None, body: bytes, expected: float | None) -> None:
    assert error_from_response(503, body, retry_after=header).retry_after_seconds == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>bad gateway</html>", "the server answered 502: <html>bad gateway</html>"),
        (b"", "the server answered 502"),
        (b"[]", "the server answered 502: []"),
        (b"\xff", "the server answered 502: \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_is_no_status_becomes_the_message(body: bytes, message: str) -> None:
    assert str(error_from_response(502, body)) == message

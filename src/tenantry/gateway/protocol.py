"""What the data plane's script and Python say to each other: header-like lines, over a Unix socket.

A message is lines of ``name: value``.  Header values hold neither CR, LF nor NUL, so what was
a header is a line as it stands.  Lines whose name starts with ``:`` are about the message itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tenantry.foundation.codec import encode

IDENTIFY: Final = "/_tenantry/identify"
VERDICT: Final = "/_tenantry/verdict"
MASKED: Final = "/_tenantry/masked"
CREATED: Final = "/_tenantry/created"
SECRET_HEADER: Final = "x-tenantry-secret"  # noqa: S105 - a header's name
ANSWER_HEADER: Final = "x-tenantry-answer"
"""On every answer of Python's own: without it an error came from the way, not from Python."""
REASON_HEADER: Final = "x-tenantry-reason"
"""A stable token for audit and metrics: why it was refused."""
USER_HEADER: Final = "x-tenantry-user"
"""For audit: who was refused, where the credential holds."""

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Python answers to the script, or through it to the client."""

    status: int = 200
    lines: Lines = ()
    """For the script; used with status 200 and no *body*."""
    body: bytes = b""
    """For the client, as it stands."""
    headers: tuple[tuple[str, str], ...] = ()


def encode_lines(lines: Lines) -> bytes:
    """Return the message; raise ValueError for a name or value that would break it."""
    for name, value in lines:
        if any(mark in name + value for mark in "\r\n\0") or not name or ": " in name:
            raise ValueError(f"not a line: {name!r}")
    return "".join(f"{name}: {value}\n" for name, value in lines).encode("utf-8", "surrogateescape")


def decode_lines(message: bytes) -> Lines:
    """Return the lines in order; raise ValueError where one is none."""
    lines = []
    for line in message.decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        name, colon, value = line.partition(": ")
        if not colon or not name:
            raise ValueError(f"not a line: {line!r}")
        lines.append((name, value))
    return tuple(lines)


def status_body(status: int, reason: str, message: str, *, details: dict[str, object] | None = None) -> bytes:
    """Return a metav1.Status of a failure, as the API server writes it."""
    body: dict[str, object] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    if details:
        body["details"] = details
    return encode(body | {"code": status}) + b"\n"


def refusal(status: int, reason: str, message: str, *, token: str, retry_after_seconds: int | None = None) -> Answer:
    """Return an answer that ends the client's request.

    Args:
        status: HTTP status; 401 gains ``WWW-Authenticate``.
        reason: metav1's reason: Unauthorized, Forbidden, ServiceUnavailable, ...
        message: For the user.
        token: Ours, stable, for audit and metrics.
        retry_after_seconds: For 429 and 503.
    """
    headers = [("content-type", "application/json"), (REASON_HEADER, token)]
    if status == 401:
        headers.append(("www-authenticate", 'Bearer realm="kubernetes"'))
    if retry_after_seconds is not None:
        headers.append(("retry-after", str(retry_after_seconds)))
    return Answer(status=status, body=status_body(status, reason, message), headers=tuple(headers))

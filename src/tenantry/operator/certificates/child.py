"""Cryptography in a process of its own: the library takes 8 MB that the controllers need for a moment a day.

The parent writes one request to the child's standard input and reads one answer from its
output.  Keys pass through these pipes alone, never through arguments or files.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tenantry.foundation.codec import Model, decode, encode
from tenantry.foundation.errors import UnavailableError
from tenantry.operator.certificates.plan import Authority, Serving

TIMEOUT_SECONDS: Final = 30.0
Pair = tuple[str, str]
"""PEM of a certificate and of its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the certificates that are there say."""

    current: Authority | None
    serving: Serving | None
    published: frozenset[str]
    registered: tuple[frozenset[str], ...]


class InspectRequest(Model, tag="inspect"):
    """Read certificates: all are PEM, empty where there is none."""

    authority: str
    serving: str
    published: str
    registered: tuple[str, ...]


class AuthorityRequest(Model, tag="authority"):
    """Make a CA."""

    now: datetime
    subject: str = "tenantry-admission"
    """What its name begins with."""


class ServingRequest(Model, tag="serving"):
    """Make a serving certificate."""

    authority: Pair
    names: frozenset[str]
    now: datetime
    subject: str = "tenantry-admission"
    """Common name; clients look at *names*."""


Request = InspectRequest | AuthorityRequest | ServingRequest


async def inspect(request: InspectRequest) -> Inspection:
    """Return what the certificates say.

    Raises:
        UnavailableError: The child failed.
    """
    return decode(await _ask(request), Inspection)


async def make(request: AuthorityRequest | ServingRequest) -> Pair:
    """Return a new certificate and its key; raises as :func:`inspect`."""
    made = decode(await _ask(request), list[str])
    return made[0], made[1]


async def _ask(request: Request) -> bytes:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer, complaint = await child.communicate(encode(request))
    except TimeoutError as error:
        raise UnavailableError(f"making a certificate took over {TIMEOUT_SECONDS:.0f} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnavailableError(f"certificates can't be made or read: {last}")
    return answer


def answer(data: bytes) -> bytes:
    """Return the child's answer to a request."""
    from tenantry.operator.certificates import pki  # noqa: PLC0415 - in the child alone

    request: Request = decode(data, InspectRequest | AuthorityRequest | ServingRequest)  # type: ignore[arg-type]
    if isinstance(request, AuthorityRequest):
        return encode(pki.new_authority(request.now, request.subject))
    if isinstance(request, ServingRequest):
        return encode(pki.new_serving(request.authority, request.names, request.now, subject=request.subject))
    return encode(
        Inspection(
            current=pki.read_authority(request.authority),
            serving=pki.read_serving(request.serving, request.authority),
            published=pki.certificates_of(request.published),
            registered=tuple(pki.certificates_of(bundle) for bundle in request.registered),
        )
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))

"""What requests say again and again, read once: who makes them, and what they ask for.

Reading is a function of the text alone, so what was read before holds as long as the process lives.
Equal identities become one object: a thousand watches of a user in hundreds of groups hold it once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tenantry.access.identity import Identity
from tenantry.access.identity_headers import Lines, identity_from
from tenantry.access.requests import RequestInfo, request_info

_IDENTITIES: Final = 512
_REQUESTS: Final = 1024
_LONG_BYTES: Final = 512
"""Longer targets hold versions and selectors that hardly come twice."""

identity_of = lru_cache(maxsize=_IDENTITIES)(identity_from)
"""As :func:`identity_from`; takes a tuple.  What is refused is read anew each time."""
_info_of = lru_cache(maxsize=_REQUESTS)(request_info)


def info_of(method: str, target: str) -> RequestInfo:
    """As :func:`request_info`."""
    return _info_of(method, target) if len(target) <= _LONG_BYTES else request_info(method, target)


def identity_among(lines: Lines) -> Identity:
    """Return the identity among the *lines* of a message, whose others differ from one to the next."""
    return identity_of(tuple([line for line in lines if not line[0].startswith(":")]))

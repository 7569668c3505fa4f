"""Whose the lease is that Capsule and ours lead by: the two must never run together (spec 13.20)."""

from __future__ import annotations

import re
from typing import Final

_OWN: Final = re.compile("_[0-9a-f]{8}$")


def candidate(process: str, token: str) -> str:
    """Return the identity under which *process* asks for the lease.

    Args:
        process: Of the pod, or the host.
        token: Eight hexadecimal digits of its own for each start: a restarted pod is another candidate.
    """
    return f"{process}_{token}"


def is_foreign(holder: str) -> bool:
    """Return whether *holder* is no operator of ours: Capsule's identities end in a whole UUID."""
    return bool(holder) and _OWN.search(holder) is None

"""Who a request is made as, in the terms of the API server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user as ``authentication.k8s.io/v1 UserInfo`` describes one; hashable.

    An empty user is no identity: whatever makes one refuses it (invariant 3).
    """

    user: str
    groups: tuple[str, ...] = ()
    """In the order given, each once; ``system:authenticated`` is the API server's to add."""
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Sorted by key; keys are lower case."""

"""What the identity side tells whoever counts: metrics are made of it elsewhere."""

from __future__ import annotations

from typing import Literal, Protocol

How = Literal["oidc", "review", "x509", "xfcc", "none"]
Outcome = Literal["ok", "refused", "failed"]


class IdentityObserver(Protocol):
    """Told of everything that is worth a counter; must neither raise nor wait."""

    def identified(self, how: How, reason: str) -> None:
        """One identify was answered; *reason* is empty where somebody was let in."""
        ...

    def token_reviewed(self, outcome: Outcome, seconds: float) -> None:
        """One TokenReview was asked of the API server."""
        ...

    def access_reviewed(self, outcome: Outcome, seconds: float) -> None:
        """One SubjectAccessReview was asked of the API server."""
        ...

    def looked_up(self, cache: Literal["tokens", "access"], *, hit: bool) -> None:
        """A cache was asked."""
        ...

    def keys_fetched(self, issuer: str, outcome: Outcome) -> None:
        """An issuer's keys were fetched, or not."""
        ...


class Unobserved:
    """Counts nothing."""

    def identified(self, how: How, reason: str) -> None:
        """Do nothing."""

    def token_reviewed(self, outcome: Outcome, seconds: float) -> None:
        """Do nothing."""

    def access_reviewed(self, outcome: Outcome, seconds: float) -> None:
        """Do nothing."""

    def looked_up(self, cache: Literal["tokens", "access"], *, hit: bool) -> None:
        """Do nothing."""

    def keys_fetched(self, issuer: str, outcome: Outcome) -> None:
        """Do nothing."""

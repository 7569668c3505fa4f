"""Who is locked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from tenantry.gateway.settings import Locks
from tenantry.gateway.streams.records import Principal

_SERVICE_ACCOUNT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSet:
    """Users and groups whose streams end, and begin no more."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, locks: Locks) -> Self:
        """Return what the settings say."""
        return cls(users=locks.users, groups=locks.groups)

    def holds(self, principal: Principal) -> bool:
        """Say whether either the user that is seen upstream or the real caller is locked, by name or by group."""
        return self._names(principal.name, principal.groups) or self._names(principal.real_name, principal.real_groups)

    def _names(self, user: str, groups: tuple[str, ...]) -> bool:
        if not user:
            return False
        return user in self.users or not self.groups.isdisjoint((*groups, *_implied(user)))


def _implied(user: str) -> tuple[str, ...]:
    """Return the groups that the API server adds by itself."""
    if user == "system:anonymous":
        return ("system:unauthenticated",)
    if user.startswith(_SERVICE_ACCOUNT):
        namespace = user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
        return ("system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return ("system:authenticated",)

"""What is asked of the API server, as a decision sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from tenantry.foundation.codec import Raw, decode

T = TypeVar("T")


class Operation(StrEnum):
    """The operations of an AdmissionReview."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


class Role(StrEnum):
    """What the installation takes a requester for (W-7); one each, the first that applies."""

    CONTROLLER = "Controller"
    """One of the installation's own ServiceAccounts."""
    ADMINISTRATOR = "Administrator"
    CAPSULE_USER = "CapsuleUser"
    UNKNOWN = "Unknown"

    @property
    def is_admin(self) -> bool:
        """Whether Capsule's sources would call this requester an Admin."""
        return self in {Role.CONTROLLER, Role.ADMINISTRATOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks, as the API server authenticated them."""

    username: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One admission request.

    *kind*, *resource* and *version* are those the objects are in, after the API server's
    conversion for the webhook.  Objects stay bytes until a decision asks for them.
    """

    uid: str = ""
    operation: Operation
    group: str = ""
    version: str = "v1"
    kind: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    requester: Requester
    object: Raw | None = None
    """None for DELETE."""
    old_object: Raw | None = None
    """None for CREATE."""
    dry_run: bool = False
    _memo: dict[tuple[bool, type], Any] = field(default_factory=dict, compare=False, repr=False)

    def new(self, kind: type[T]) -> T:
        """Return the submitted object as a *kind*; raise DecodeError where it is none."""
        return self._decoded(kind, old=False)

    def old(self, kind: type[T]) -> T | None:
        """Return the stored object as a *kind*; None where there is none."""
        if self.old_object is None:
            return None
        return self._decoded(kind, old=True)

    def _decoded(self, kind: type[T], *, old: bool) -> T:
        key = (old, kind)
        if key not in self._memo:
            raw = self.old_object if old else self.object
            self._memo[key] = decode(raw if raw is not None else b"{}", kind)
        value: T = self._memo[key]
        return value

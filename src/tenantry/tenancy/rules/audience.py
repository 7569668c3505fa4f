"""Whom a block applies to (RL-4, E-4)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from tenantry.api.rules import Audience
from tenantry.tenancy.request import Requester, Role


class CustomAudience(StrEnum):
    """Names of audiences of kind Custom."""

    CAPSULE_USER = "CapsuleUser"
    ADMINISTRATOR = "Administrator"
    TENANT_OWNER = "TenantOwner"
    CONTROLLER = "Controller"


AUDIENCE_KINDS = ("User", "Group", "ServiceAccount", "Custom")
_ROLES = {
    CustomAudience.CAPSULE_USER: Role.CAPSULE_USER,
    CustomAudience.ADMINISTRATOR: Role.ADMINISTRATOR,
    CustomAudience.CONTROLLER: Role.CONTROLLER,
}


def applies(audience: Sequence[Audience], requester: Requester, role: Role, *, is_owner: bool) -> bool:
    """Return whether a block with *audience* applies: to everybody when it is empty, else to any entry's subjects.

    The installation's own accounts are bound by blocks alone that name the Custom audience
    Controller: no rule meant for others may stop the operator.
    """
    if role is Role.CONTROLLER:
        return any(entry.kind == "Custom" and entry.name == CustomAudience.CONTROLLER for entry in audience)
    return not audience or any(_includes(entry, requester, role, is_owner=is_owner) for entry in audience)


def _includes(entry: Audience, requester: Requester, role: Role, *, is_owner: bool) -> bool:
    match entry.kind:
        case "User" | "ServiceAccount":
            return entry.name == requester.username
        case "Group":
            return entry.name in requester.groups
        case "Custom":
            return is_owner if entry.name == CustomAudience.TENANT_OWNER else _ROLES.get(entry.name) is role  # type: ignore[call-overload]
        case _:
            return False

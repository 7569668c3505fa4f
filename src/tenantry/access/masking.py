"""Refusals about a namespace that does not exist, told as what they are: not found (R-038, 8.5)."""

from __future__ import annotations

from enum import Enum
from typing import Any

from tenantry.access.requests import RequestInfo
from tenantry.access.served import KindFacts


class Masked(Enum):
    """What a refusal may become once the namespace is proven absent."""

    NOT_FOUND = "not found"
    EMPTY_LIST = "empty list"


def maskable(info: RequestInfo, *, is_filtered: bool) -> Masked | None:
    """Return what the refusal of *info* may become; None: it stays.

    Whoever creates what is missing (``kubectl apply``, ``helm --create-namespace``) must learn
    that it is: from a 404 of one object and, for Capsule users, from an empty list.
    """
    if info.method != "GET" or not info.is_resource or not info.namespace or info.resource == "namespaces":
        return None
    if info.is_verb_in_path or info.subresource:
        return None
    if info.verb == "get" and len(info.parts) == 2:
        return Masked.NOT_FOUND
    return Masked.EMPTY_LIST if info.verb == "list" and is_filtered else None


def empty_list(facts: KindFacts) -> dict[str, Any]:
    """Return a list without items, as the API server writes one."""
    version = f"{facts.group}/{facts.version}" if facts.group else facts.version
    return {"kind": f"{facts.kind}List", "apiVersion": version, "metadata": {"resourceVersion": ""}, "items": []}


def not_found_message(group: str, resource: str, name: str) -> str:
    """Return the API server's text for an object that is not there."""
    return f'{resource}.{group} "{name}" not found' if group else f'{resource} "{name}" not found'


def not_found_details(group: str, resource: str, name: str) -> dict[str, object]:
    """Return the details that go with it; the plural stands where the kind is expected."""
    details: dict[str, object] = {"name": name, "group": group, "kind": resource}
    return {key: value for key, value in details.items() if value}

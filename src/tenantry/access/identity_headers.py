"""An identity as the lines of an impersonated request, and back; names are lower case, as HTTP/2 has them.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

from tenantry.access.identity import Identity
from tenantry.tenancy.identity import account_name

Lines = tuple[tuple[str, str], ...]

USER: Final = "impersonate-user"
GROUP: Final = "impersonate-group"
UID: Final = "impersonate-uid"
EXTRA_PREFIX: Final = "impersonate-extra-"
AUTHENTICATED: Final = "system:authenticated"

_BREAKS_A_LINE: Final = re.compile(r"[\r\n\0]")


def identity_lines(identity: Identity) -> Lines:
    """Return the headers, one a group and one a value.

    Raises:
        ValueError: There is no user (invariant 3), or a value would break its line; guards refuse both before.
    """
    groups = identity.groups
    if not groups and account_name(identity.user) is not None:
        # Without any group the API server adds an account's own, and here those were dropped on purpose.
        groups = (AUTHENTICATED,)
    lines = [(USER, identity.user), *((GROUP, group) for group in groups)]
    if identity.uid:
        lines.append((UID, identity.uid))
    lines += [(extra_header(key), value) for key, values in identity.extra for value in values]
    if not identity.user or any(_BREAKS_A_LINE.search(value) or not value for _, value in lines):
        raise ValueError("an identity without a user, or with a value that no header can have")
    return tuple(lines)


def extra_header(key: str) -> str:
    """Return the name of the header for an extra."""
    return EXTRA_PREFIX + quote(key, safe="").lower()


def extra_key(header: str) -> str:
    """Return the key that the API server reads out of the (lower-case) *header*'s name."""
    encoded = header.removeprefix(EXTRA_PREFIX)
    key = unquote(encoded, errors="surrogateescape")
    # Like Go: with one bad escape, nothing is decoded.
    return encoded if re.search(r"%(?![0-9A-Fa-f]{2})", encoded) else key


def identity_from(lines: Iterable[tuple[str, str]]) -> Identity:
    """Return the identity among *lines*; others are ignored unless they could be a part of one.

    Raises:
        ValueError: The user is missing, empty or there twice, or a line is no known part.
    """
    users: list[str] = []
    groups: list[str] = []
    uids: list[str] = []
    extra: dict[str, list[str]] = {}
    for name, value in lines:
        if name == USER:
            users.append(value)
        elif name == GROUP:
            groups.append(value)
        elif name == UID:
            uids.append(value)
        elif name.startswith(EXTRA_PREFIX):
            extra.setdefault(extra_key(name), []).append(value)
        elif name.lower().replace("_", "-").strip().startswith("impersonate-"):
            raise ValueError(f"{name!r} is no part of an identity")
    if len(users) != 1 or not users[0] or len(uids) > 1:
        raise ValueError("an identity has one user, and one uid at most")
    return Identity(
        user=users[0],
        groups=tuple(dict.fromkeys(groups)),
        uid=uids[0] if uids else "",
        extra=tuple((key, tuple(values)) for key, values in sorted(extra.items())),
    )

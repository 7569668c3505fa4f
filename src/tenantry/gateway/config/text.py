"""Whether a text is an address to listen on, a host name, an expression."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from tenantry.foundation.expressions import ExpressionError, expression

Finding = tuple[str, str] | None
"""What is wrong, and what would be right."""
NOWHERE: Final = "0"
_HOST: Final = expression(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_PORT_MAX: Final = 65535


def port_of(address: str) -> int | None:
    """Return the port of ``host:port``; None for nowhere, and where there is none."""
    port = address.rpartition(":")[2]
    return int(port) if port.isascii() and port.isdigit() and port != NOWHERE else None


def address_fault(value: str) -> Finding:
    """Say what keeps *value* from being ``host:port``, ``:port`` or ``0``."""
    host, colon, _ = value.rpartition(":")
    port = port_of(value)
    if value == NOWHERE or (colon and port is not None and port <= _PORT_MAX and " " not in host):
        return None
    return f"{value!r} is no address", "write host:port, :port for all addresses, or 0 for nowhere"


def expression_fault(value: str) -> Finding:
    """Say what keeps *value* from being an expression."""
    try:
        expression(value)
        expression(f"(?:{value})")  # As it is used: "a)|(b" compiles in brackets alone.
    except ExpressionError as error:
        return f"{value!r} is no expression ({error.problem})", "write it in RE2's syntax, which knows no look-around"
    return None


def host_fault(value: str) -> Finding:
    """Say what keeps *value* from being a host name or an IP address, without a port."""
    if is_ip(value) or (len(value) <= 253 and _HOST.search(value)):
        return None
    lowered = value.lower()
    if lowered != value and host_fault(lowered) is None:
        return f"{value!r} has capitals", f"write {lowered}"
    if "*" in value:
        return f"{value!r} has a wildcard", "list each host"
    return f"{value!r} is no host name", "write the name alone, without scheme, port and path"


def is_ip(value: str) -> bool:
    """Return whether *value* is an IP address."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True

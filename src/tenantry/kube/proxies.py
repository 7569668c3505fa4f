"""Which HTTP proxy leads to a server: the environment's, by the rules of Go's net/http that kubectl follows."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from tenantry.foundation.errors import ConfigurationError


def proxy_for(server: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy to *server*, or None for a direct connection.

    Raises:
        ConfigurationError: The kubeconfig's ``proxy-url`` is not one that is supported.
    """
    if configured is not None:
        if urlsplit(configured).scheme not in {"http", "https"}:
            raise ConfigurationError(f"proxy-url {configured!r}: only http and https proxies are supported")
        return configured
    url = urlsplit(server)
    host = url.hostname or ""
    proxy = _variable(environ, f"{url.scheme}_proxy")
    if not proxy or _is_loopback(host) or _is_exempt(host, url.port, _variable(environ, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _is_exempt(host: str, port: int | None, exemptions: str) -> bool:
    return any(_matches(entry.strip().lower(), host.lower(), port) for entry in exemptions.split(",") if entry.strip())


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted_port = entry.rpartition(":")
    if colon and wanted_port.isdigit() and _address(entry) is None:
        if port != int(wanted_port):
            return False
        entry = name
    if address is not None:
        return _address(entry.strip("[]")) == address
    suffix = entry.removeprefix("*")  # ".example.org" is its subdomains, "example.org" is itself too.
    return (host == suffix.removeprefix(".") and not suffix.startswith(".")) or host.endswith("." + suffix.lstrip("."))

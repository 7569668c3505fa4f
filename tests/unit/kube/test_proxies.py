"""The proxy that leads to a server."""

from __future__ import annotations

import pytest

from tenantry.foundation.errors import ConfigurationError
from tenantry.kube.proxies import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("server", "environ", "expected"),
    [
        ("https://api.example.org", {}, None),
        ("https://api.example.org", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example.org", {"https_proxy": PROXY}, PROXY),
        ("https://api.example.org", {"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ("https://api.example.org", {"HTTP_PROXY": PROXY}, None),
        ("http://api.example.org", {"HTTP_PROXY": PROXY}, PROXY),
        ("https://localhost:6443", {"HTTPS_PROXY": PROXY}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": PROXY}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": PROXY}, None),
        ("https://api.example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("https://api.example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": "other, example.org"}, None),
        ("https://example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org"}, None),
        ("https://example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.org"}, PROXY),
        ("https://api.example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": ".example.org"}, None),
        ("https://api.example.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*.example.org"}, None),
        ("https://myexample.org", {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org"}, PROXY),
        ("https://api.example.org:6443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.org:6443"}, None),
        ("https://api.example.org:6443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.org:443"}, PROXY),
        ("https://10.96.0.1:443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.96.0.0/12"}, None),
        ("https://10.128.0.1:443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.96.0.0/12"}, PROXY),
        ("https://10.96.0.1:443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.96.0.1"}, None),
        ("https://10.96.0.1:443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "nonsense/99"}, PROXY),
        ("https://[2001:db8::1]:443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "2001:db8::/32"}, None),
    ],
)
def test_the_environment_decides_as_for_kubectl(server: str, environ: dict[str, str], expected: str | None) -> None:
    assert proxy_for(server, None, environ) == expected


def test_the_kubeconfig_wins_over_the_environment() -> None:
    assert proxy_for("https://localhost", "http://mine:1", {"HTTPS_PROXY": PROXY}) == "http://mine:1"


def test_a_socks_proxy_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="socks5://x:1"):
        proxy_for("https://a", "socks5://x:1", {})

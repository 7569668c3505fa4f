"""One gateway for the security suite: several settings before the same recording API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from door import Door

from tenantry.testing.platform import Platform

_FIRST: Final = ["XForwardedClientCert", "BearerToken", "TLSCertificate"]
# Few: each cluster costs Envoy some inotify instances, of which a machine has 128 by default.
CLUSTERS: Final[dict[str, dict[str, Any]]] = {
    # Forwarded certificates are taken from another network than tests come from.
    "": {
        "impersonation": {"enabled": True},
        "authenticators": _FIRST,
        "forwarded": {"trustedNetworks": ["192.0.2.0/24"]},
    },
    # Client impersonation is off, as by default.
    "other.test": {
        "authenticators": _FIRST,
        "forwarded": {"trustedNetworks": ["127.0.0.0/8"]},
        "tokenAudiences": ["gateway"],
    },
}
LIMITS: Final = {"requestHeaderBytes": 16384, "requestHeaders": 60, "urlBytes": 4096, "requestBodyBytes": 65536}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def door(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """Tests leave it as it is, and choose the settings by the host that they ask for."""
    folder = tmp_path_factory.mktemp("door")
    async with Door.opened(platform, folder, clusters=CLUSTERS, limits=LIMITS) as door:
        yield door

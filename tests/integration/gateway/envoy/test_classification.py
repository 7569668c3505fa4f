"""The script reads requests as :mod:`tenantry.access.requests` does, and refuses what that refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.access.requests import RefusedRequestError, request_info

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TARGETS = (
    "/api",
    "/api/v1",
    "/apis/apps",
    "/apis/apps/v1",
    "/version",
    "/healthz/ping",
    "/openapi/v3/apis/apps/v1",
    "/api/v1/nodes",
    "/api/v1/nodes/",
    "/api/v1/nodes?watch=1",
    "/api/v1/nodes?watch=0",
    "/api/v1/nodes?watch=False",
    "/api/v1/nodes?watch",
    "/api/v1/nodes?watch=",
    "/api/v1/nodes?w%61tch=t",
    "/api/v1/nodes/n",
    "/api/v1/nodes/n?watch=1",
    "/api/v1/nodes/n/status",
    "/api/v1/nodes/n/proxy/stats/summary",
    "/api/v1/namespaces",
    "/api/v1/namespaces/a",
    "/api/v1/namespaces/a/status",
    "/api/v1/namespaces/a/finalize",
    "/api/v1/namespaces/a/pods",
    "/api/v1/namespaces/a/pods/p",
    "/api/v1/namespaces/a/pods/p/log",
    "/api/v1/namespaces/a/pods/p/exec",
    "/api/v1/namespaces/a/pods/p/ephemeralcontainers",
    "/api/v1/namespaces/a/services/https:s:443/proxy/x/y",
    "/api/v1/watch/namespaces",
    "/api/v1/watch/namespaces/a/pods",
    "/api/v1/watch/nodes/n",
    "/api/v1/proxy/namespaces/a/pods/p/x",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/namespaces/a/deployments/d/scale",
    "/apis/apps/v1/watch/deployments",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
    "/apis/g.test/v1/namespaces/n%61me/kinds/%C3%A4",
    "/apis/g.test/v1/namespaces",
)
REFUSED = (
    "/",
    "/apiserver",
    "/api//v1",
    "/api/v1/./nodes",
    "/api/v1/%2e%2E/nodes",
    "/api/v1/a%2Fb",
    "/api/v1/a%5Cb",
    "/api/v1/a%00",
    "/api/v1/a%0A",
    "/api/v1/a%7F",
    "/api/v1/%C2%80",
    "/api/v1/%FF",
    "/api/v1/%C0%80",
    "/api/v1/%F5%80%80%80",
    "/api/v1/%",
    "/api/v1/%1",
    "/api/v1/%GG",
    "/api/v1/%252F",
    "/api/v1/a\\b",
    "/api/v1/a#b",
)


async def test_requests_are_read_alike(gateway: Any, raw: Any) -> None:
    cases = [(method, target) for target in TARGETS for method in METHODS]
    gateway.api.hangs_up = True
    for method, target in cases:
        if method == "HEAD":
            await head(gateway, raw, target)
        else:
            await gateway.get(target, method=method)

    records = await gateway.records(lambda found: len(found) == len(cases))

    found = {
        (method, target): tuple(record.get(name) or "" for name in NAMES)
        for (method, target), record in zip(cases, records, strict=True)
    }
    assert found == {case: expected(*case) for case in cases}


NAMES = ("verb", "apiGroup", "apiVersion", "namespace", "resource", "subresource", "name")


def expected(method: str, target: str) -> tuple[str, ...]:
    info = request_info(method, target)
    if not info.is_resource:
        # For discovery the script notes group and version, too.
        parts = info.path.strip("/").split("/")
        group = {"apis": parts[1:2], "api": []}.get(parts[0], [])
        version = {"apis": parts[2:3], "api": parts[1:2]}.get(parts[0], [])
        return (info.verb, "".join(group), "".join(version), "", "", "", "")
    return (
        info.verb,
        info.api_group,
        info.api_version,
        info.namespace,
        info.resource,
        info.subresource,
        info.name,
    )


async def head(gateway: Any, raw: Any, target: str) -> None:
    async with await raw.Connection.open(gateway.port, tls=gateway.tls(), server_name="gateway.test") as connection:
        headers = (("Authorization", "Bearer of-alice"),)
        await connection.send(raw.request(target, method="HEAD", headers=headers))
        await connection.head()


async def test_what_is_refused_there_is_refused_here(gateway: Any) -> None:
    for target in REFUSED:
        with pytest.raises(RefusedRequestError) as refused:
            request_info("GET", target)
        assert (await gateway.get(target)).status == refused.value.status, target
    assert (await gateway.get("/api/v1/nodes", method="TRACE")).status in {400, 405}
    assert gateway.api.seen == []

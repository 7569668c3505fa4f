"""Requests that pass through: GET and LIST of Pods, by each kind of credential and by number of groups."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from bench.figures import Figure, Row
from bench.gateway.site import OWNER, POD_COUNT, PODS, Site
from bench.gateway.turns import Send, Taken, by_turns
from bench.http2 import Http2Door
from bench.scene import USER_GROUP
from bench.wire import Door

COUNT: Final = 150
GROUPS: Final = (0, 10, 100, 300)
POD: Final = f"{PODS}/pod-00"
_MOST, _PLAIN = 0.65, 0.30
"""Of CPU, in milliseconds: the gateway's aim, and what an Envoy without filters took where that was set."""
CAPSULE: Final = "2.2-2.6 ms, 2 TokenReviews"
_COUNTED: Final = re.compile(
    r'^apiserver_request_total\{.*resource="(pods|[a-z]*reviews|namespaces)".*\} ([0-9.e+]+)$', re.MULTILINE
)


async def asked(site: Site) -> int:
    """Return how many requests about Pods, namespaces and reviews the API server counted so far."""
    text = (await site.scene.admin.must("GET", "/metrics")).body.decode()
    return round(sum(float(count) for _, count in _COUNTED.findall(text)))


def groups(count: int) -> tuple[str, ...]:
    """Return the names of so many groups."""
    return tuple(f"department-{number:03}-engineering" for number in range(count))


def got(door: Door | Http2Door, path: str) -> Send:
    """Return the act of getting *path*."""
    return lambda: door.send("GET", path)


async def passing(site: Site) -> AsyncIterator[Row]:
    """Measure what goes through as it is."""
    async for row in _pods(site):
        yield row
    yield await _credentials(site)
    yield await _groups(site)


async def _pods(site: Site) -> AsyncIterator[Row]:
    admin, token = site.scene.plane.kubeconfig, site.token
    for http in ("HTTP/2", "HTTP/1.1"):
        for work, path in (("GET of a Pod", POD), (f"LIST of {POD_COUNT} Pods", PODS)):
            made: Callable[..., Door | Http2Door] = site.http2 if http == "HTTP/2" else site.door
            ports = {"direct": site.api_port, "plain": site.plain.port, "gateway": site.gateway.port}
            doors = {name: got(made(port, admin, token=token), path) for name, port in ports.items()}
            before = await asked(site)
            taken = await by_turns(site, doors, count=COUNT)
            counted, sent = await asked(site) - before, sum(len(each.seconds) for each in taken.values())
            extra = max(0, counted - sent - 3 * max(3, COUNT // 20)) / len(taken["gateway"].seconds)
            yield _row(f"{work} through the gateway, {http}", taken, extra, is_list=path == PODS)


def _row(work: str, taken: dict[str, Taken], extra: float, *, is_list: bool) -> Row:
    direct, plain, gateway = taken["direct"], taken["plain"], taken["gateway"]
    above = gateway.gateway_ms - plain.plain_ms
    return Row(
        work=work,
        capsule=CAPSULE,
        figures=(
            # What is listed passes through any Envoy twice, encrypted: that is no doing of the gateway's.
            Figure(name="CPU of the gateway", value=gateway.gateway_ms, unit="ms", at_most=None if is_list else _MOST),
            Figure(name="CPU of Envoy with TLS and a route alone", value=plain.plain_ms, unit="ms"),
            Figure(name="CPU of the gateway above that", value=above, unit="ms", at_most=_MOST - _PLAIN),
            # Python does nothing for such a request, but what it does anyway falls into the same time.
            Figure(
                name="CPU of Python meanwhile, a request", value=round(gateway.python_ms, 3), unit="ms", at_most=0.03
            ),
            Figure(name="CPU of the API server, through the gateway", value=gateway.api_server_ms, unit="ms"),
            Figure(name="CPU of the API server, direct", value=direct.api_server_ms, unit="ms"),
            Figure(name="more API requests a request", value=round(extra, 3), at_most=0.01),
            Figure(name="p50", value=gateway.p50_ms, unit="ms"),
            Figure(name="p50, Envoy with TLS and a route alone", value=plain.p50_ms, unit="ms"),
            Figure(name="p50, direct", value=direct.p50_ms, unit="ms"),
        ),
    )


async def _credentials(site: Site) -> Row:
    admin = site.scene.plane.kubeconfig
    certificate = site.certificate(OWNER)
    port, token = site.gateway.port, site.issuer.token(OWNER, [USER_GROUP])
    taken = await by_turns(
        site,
        {
            "ServiceAccount's token": got(site.http2(port, admin, token=site.token), POD),
            "OIDC token": got(site.http2(port, admin, token=token), POD),
            "client certificate": got(site.http2(port, certificate), POD),
        },
        count=COUNT,
    )
    return Row(
        work="GET of a Pod, by credential, HTTP/2",
        capsule="",
        figures=tuple(
            figure
            for name, each in taken.items()
            for figure in (
                Figure(name=f"{name}: CPU of the gateway", value=each.gateway_ms, unit="ms", at_most=0.65),
                Figure(name=f"{name}: p50", value=each.p50_ms, unit="ms"),
            )
        ),
    )


async def _groups(site: Site) -> Row:
    admin, doors = site.scene.plane.kubeconfig, dict[str, Send]()
    for count in GROUPS:
        token = site.issuer.token(OWNER, groups(count))
        doors[f"{count} groups"] = got(site.http2(site.gateway.port, admin, token=token), POD)
    most = site.certificate(OWNER, groups(GROUPS[-1]))
    doors["direct"] = got(site.http2(site.api_port, most), POD)
    taken = await by_turns(site, doors, count=COUNT)
    figures = []
    for count in GROUPS:
        each = taken[f"{count} groups"]
        figures += [
            Figure(name=f"{count} groups: CPU of the gateway", value=each.gateway_ms, unit="ms"),
            Figure(name=f"{count} groups: CPU of the API server", value=each.api_server_ms, unit="ms"),
            Figure(name=f"{count} groups: p50", value=each.p50_ms, unit="ms"),
        ]
    few, many = taken[f"{GROUPS[-2]} groups"], taken[f"{GROUPS[-1]} groups"]
    none = taken["0 groups"].gateway_ms
    # A line from none through a hundred goes on to this at three hundred; a tenth more is the measurement's own.
    line = none + (few.gateway_ms - none) * GROUPS[-1] / GROUPS[-2]
    figures += [
        Figure(name="300 groups, of what 0 and 100 make a line to", value=many.gateway_ms / line, at_most=1.1),
        Figure(
            name="300 groups, direct by certificate: CPU of the API server",
            value=taken["direct"].api_server_ms,
            unit="ms",
        ),
        Figure(name="300 groups, direct by certificate: p50", value=taken["direct"].p50_ms, unit="ms"),
    ]
    return Row(work="GET of a Pod by a user with an OIDC token, HTTP/2", capsule="", figures=tuple(figures))

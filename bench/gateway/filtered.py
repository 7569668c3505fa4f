"""Answers that Python gives: lists of namespaces and of Pods everywhere, and reviews of one's own rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from bench.figures import Figure, Row
from bench.gateway.passing import asked, got, groups
from bench.gateway.site import FLAT, OWNER, SPACES, Site, pod
from bench.gateway.turns import by_turns
from bench.scene import NAMESPACES, USER_GROUP
from bench.seeding import put, remove
from bench.wire import Answer, Door

SIZES: Final = ((200, 0.8, "10.8 ms, 3 API requests"), (5_000, 1.0, "21.9 ms, 3 API requests"), (20_000, 1.2, ""))
PODS_EACH: Final = 250
TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_COUNT: Final = 150
_SEEDED: Final = "seed-pod-"


async def namespace_lists(site: Site, total: int, aim: float, capsule: str) -> Row:
    """Measure lists of the owner's twenty namespaces of *total*."""
    await site.namespaces(total)
    door = site.http2(site.gateway.port, site.certificate(OWNER))
    assert len((await door.send("GET", NAMESPACES)).json()["items"]) == len(SPACES)
    before = await asked(site)
    taken = await by_turns(
        site,
        {"list": got(door, NAMESPACES), "table": lambda: door.send("GET", NAMESPACES, accept=TABLE)},
        count=_COUNT,
    )
    extra = (await asked(site) - before) / sum(len(each.seconds) for each in taken.values())
    listed, table = taken["list"], taken["table"]
    return Row(
        work=f"LIST of namespaces, 20 visible of {total}",
        capsule=capsule,
        figures=(
            Figure(name="CPU, API server included", value=listed.total_ms, unit="ms", at_most=aim),
            Figure(name="of that, in Python", value=listed.python_ms, unit="ms"),
            Figure(name="of that, in the API server", value=listed.api_server_ms, unit="ms"),
            Figure(name="as a table, CPU, API server included", value=table.total_ms, unit="ms", at_most=aim),
            Figure(name="API requests a list", value=round(extra, 3), at_most=0.01),
            Figure(name="p50", value=listed.p50_ms, unit="ms"),
            Figure(name="as a table, p50", value=table.p50_ms, unit="ms"),
        ),
    )


async def all_namespaces(site: Site) -> Row:
    """Measure a list of 5,000 Pods over the owner's namespaces, beside as many in one namespace."""
    await _pods(site)
    spread = site.http2(site.gateway.port, site.certificate(OWNER))
    flat = site.http2(site.gateway.port, site.certificate(FLAT))
    direct = site.http2(site.api_port, site.certificate(FLAT))
    in_one = f"/api/v1/namespaces/{FLAT}/pods"
    taken = await by_turns(
        site,
        {"all": got(spread, "/api/v1/pods"), "one": got(flat, in_one), "direct": got(direct, in_one)},
        count=3,
        rounds=5,
    )
    for space in (*SPACES, FLAT):
        await remove(site.scene, f"/registry/pods/{space}/{_SEEDED}")
    every, one, alone = taken["all"], taken["one"], taken["direct"]
    return Row(
        work="LIST of Pods over 20 namespaces of 250 each",
        capsule="fails, or one SubjectAccessReview a tenant",
        figures=(
            Figure(name="CPU, of that of 5,000 Pods in one namespace", value=every.total_ms / one.total_ms, at_most=2),
            Figure(name="CPU of the gateway and the API server", value=every.total_ms, unit="ms"),
            Figure(name="of that, in Python", value=every.python_ms, unit="ms"),
            Figure(name="in one namespace, through the gateway: CPU", value=one.total_ms, unit="ms"),
            Figure(name="in one namespace, direct: CPU", value=alone.total_ms, unit="ms"),
            Figure(name="p50", value=every.p50_ms, unit="ms"),
            Figure(name="in one namespace, direct: p50", value=alone.p50_ms, unit="ms"),
        ),
    )


async def _pods(site: Site) -> None:
    admin = site.scene.admin
    made = (await admin.must("POST", f"/api/v1/namespaces/{FLAT}/pods", pod("model"))).json()
    spaces = [(space, PODS_EACH) for space in SPACES] + [(FLAT, PODS_EACH * len(SPACES))]
    await put(site.scene, _copies(made, spaces))

    async def is_there() -> bool:
        return len(await admin.items(f"/api/v1/namespaces/{FLAT}/pods?resourceVersion=0")) > PODS_EACH * len(SPACES)

    await site.scene.until(is_there, "the Pods", every_seconds=0.5)
    await site.settled()


def _copies(made: dict[str, Any], spaces: list[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    number = count()
    made["metadata"].pop("resourceVersion")
    for space, most in spaces:
        for index in range(most):
            name, uid = f"{_SEEDED}{index:05}", f"00000000-0000-4000-9000-{next(number):012}"
            made["metadata"] |= {"name": name, "namespace": space, "uid": uid}
            yield f"/registry/pods/{space}/{name}", json.dumps(made)


async def self_reviews(site: Site) -> Row:
    """Measure what somebody in 300 groups is told of their rights, each time another question."""
    numbers = count()
    kubeconfig = site.certificate(OWNER, (*groups(299), USER_GROUP))
    outside = site.certificate("outsider", groups(300))
    doors = {
        "tenant's user": site.door(site.gateway.port, kubeconfig),
        "anybody else": site.door(site.gateway.port, outside),
        "direct": site.door(site.api_port, kubeconfig),
    }

    def review(door: Door) -> Any:
        async def send() -> Answer:
            attributes = {"namespace": SPACES[0], "verb": "get", "resource": "pods", "name": f"pod-{next(numbers)}"}
            kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            return await door.send("POST", REVIEWS, {**kind, "spec": {"resourceAttributes": attributes}})

        return send

    taken = await by_turns(site, {name: review(door) for name, door in doors.items()}, count=_COUNT)
    direct = taken["direct"]
    figures: list[Figure] = []
    for name in ("tenant's user", "anybody else"):
        each = taken[name]
        figures += [
            Figure(name=f"{name}: p50, of direct", value=each.p50_ms / direct.p50_ms, at_most=3),
            Figure(name=f"{name}: CPU, of direct", value=each.total_ms / direct.total_ms, at_most=3),
            Figure(name=f"{name}: CPU of the gateway", value=each.gateway_ms, unit="ms"),
            Figure(name=f"{name}: CPU of the API server", value=each.api_server_ms, unit="ms"),
            Figure(name=f"{name}: p50", value=each.p50_ms, unit="ms"),
        ]
    figures += [
        Figure(name="direct: CPU of the API server", value=direct.api_server_ms, unit="ms"),
        Figure(name="direct: p50", value=direct.p50_ms, unit="ms"),
    ]
    return Row(
        work="SelfSubjectAccessReview with 300 groups, each a new question",
        capsule="seconds, reported by its users",
        figures=tuple(figures),
    )

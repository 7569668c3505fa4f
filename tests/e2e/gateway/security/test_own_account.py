"""What the gateway does under its own name: invariants 3, 10 and 27."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from door import Asked, Door
from recording_upstream import Arrived

from tenantry.testing.platform import Platform
from tenantry.testing.world import World

CAPSULE: Final = ("projectcapsule.dev",)
ASKED_ABOUT_OTHERS: Final = {
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
}
READS: Final = re.compile(
    r"/(api|version)"
    r"|/apis(/[a-z0-9.]+(/v[0-9a-z]+)?)?"
    r"|/api/v1/(namespaces|nodes|persistentvolumes)(/[^/]+)?"
    r"|/api/v1/namespaces/kube-system/configmaps(/extension-apiserver-authentication)?"
    r"|/api/v1"
    r"|/apis/capsule\.clastix\.io/v1beta[12]/(tenants|tenantowners|capsuleconfigurations|proxysettings"
    r"|globalproxysettings)(/[^/]+)?"
    r"|/apis/rbac\.authorization\.k8s\.io/v1/(roles|rolebindings|clusterroles|clusterrolebindings)"
    r"|/apis/(storage|networking|scheduling|node|apiextensions)\.k8s\.io/v1/[a-z]+(/[^/]+)?"
)
STATUSES: Final = re.compile(
    r"/apis/capsule\.clastix\.io/v1beta1/(globalproxysettings/[^/]+|namespaces/[^/]+/proxysettings/[^/]+)/status"
)


def under_its_own_name(door: Door) -> list[Arrived]:
    """Return what arrived with the gateway's credential and nobody to act as."""
    return [
        each
        for each in door.upstream.arrived
        if each.values("authorization") == [door.own_authorization] and not each.values("impersonate-user")
    ]


async def a_session(door: Door, namespace: str, user: str) -> list[int]:
    """Do what users do: filtered lists, watches, gets, self reviews, live reads, writes; return the statuses."""
    tls = door.certificate(user, CAPSULE)
    reads = (
        "/api/v1/namespaces",
        "/api/v1/namespaces?limit=1",
        "/api/v1/namespaces?watch=1&timeoutSeconds=1",
        f"/api/v1/namespaces/{namespace}",
        "/api/v1/namespaces/kube-system",
        f"/api/v1/namespaces/{namespace}/pods",
        "/api/v1/namespaces/nowhere/pods/p",
        "/api/v1/pods",
        "/api/v1/pods?watch=1&timeoutSeconds=1",
        "/api/v1/secrets",
        "/api/v1/nodes",
        "/api/v1/nodes/none",
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "/apis/storage.k8s.io/v1/storageclasses",
        "/apis/storage.k8s.io/v1/storageclasses?watch=1&timeoutSeconds=1",
        "/apis/capsule.clastix.io/v1beta2/tenants",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/api/v1/watch/namespaces?timeoutSeconds=1",
        "/apis/apps/v1/deployments",
        "/version",
        "/openapi/v3",
        "/api/v1/nodes/none/proxy/metrics",
    )
    asked = [await door.ask(target, ("Accept", "application/json"), tls=tls) for target in reads]
    resource = {"verb": "list", "resource": "namespaces"}
    for kind, spec in (
        ("SelfSubjectAccessReview", {"resourceAttributes": resource}),
        ("SelfSubjectRulesReview", {"namespace": namespace}),
    ):
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        asked.append(await post(door, f"/apis/authorization.k8s.io/v1/{kind.lower()}s", review, user))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    for path in (f"/api/v1/namespaces/{namespace}/configmaps", "/api/v1/configmaps", "/api/v1/namespaces"):
        asked.append(await post(door, path, body, user))  # noqa: PERF401 - one list of all
    deleted = ("/api/v1/namespaces", "/api/v1/nodes", "/api/v1/nodes/none", "/api/v1/pods")
    asked += [await door.ask(target, method="DELETE", tls=tls) for target in deleted]
    return [each.status for each in asked]


async def post(door: Door, path: str, body: object, user: str) -> Asked:
    return await door.ask(
        path,
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        method="POST",
        body=json.dumps(body).encode(),
        tls=door.certificate(user, CAPSULE),
    )


async def test_invariant_10_its_own_name_reads_and_nothing_else(
    door: Door, world: World, unique: Callable[[str], str]
) -> None:
    """Over a whole session: each request without Impersonate-User is a read of what the gateway knows, by its path.

    Nothing of tenants' contents is read so, no body of a user arrives so, and the data plane sends none at all.
    """
    user = unique("alice")
    tenant = await world.tenant({"owners": [{"kind": "User", "name": user}]})
    namespace = await world.namespace(await world.user(user), tenant.metadata.name)
    start = len(door.upstream.arrived)

    statuses = await a_session(door, namespace, user)

    assert {200, 201, 403, 404} <= set(statuses)
    assert max(statuses) < 500
    own = under_its_own_name(door)
    assert {tuple(each.values("user-agent")) for each in own} == {("tenantry-gateway",)}
    writes = [each for each in own if each.method != "GET"]
    assert [each for each in own if each.method == "GET" and not READS.fullmatch(each.path)] == []
    assert [
        (each.method, each.path)
        for each in writes
        if not (each.method == "POST" and each.path in ASKED_ABOUT_OTHERS)
        and not (each.method == "PATCH" and STATUSES.fullmatch(each.path))
    ] == []
    for each in own:
        assert not any(name.lower().startswith(("impersonate-", "x-remote-")) for name, _ in each.headers)
    users = [each for each in door.upstream.arrived[start:] if each.values("impersonate-user") == [user]]
    assert len(users) > 10


async def test_invariant_03_nothing_goes_up_without_somebody(door: Door) -> None:
    """Whatever came with our credential through the data plane acts as somebody; whatever has none, has another."""
    await door.ask("/version", token=door.issuer.token())

    for each in door.upstream.arrived:
        if each.values("user-agent") != ["tenantry-gateway"] and each.values("authorization") == [
            door.own_authorization
        ]:
            (user,) = each.values("impersonate-user")
            assert user


@pytest.mark.parametrize("path", ["/api/v1/namespaces", "/api/v1/nodes", "/apis/storage.k8s.io/v1/storageclasses"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_invariant_10_writes_on_list_paths_are_the_users_own(
    door: Door, unique: Callable[[str], str], method: str, path: str
) -> None:
    """4.3: whatever is answered by filtering when it is read goes up as the user when it is written."""
    user = unique("walter")
    asked = await door.ask(
        path,
        ("Content-Type", "application/json"),
        method=method,
        body=b"{}",
        tls=door.certificate(user, CAPSULE),
    )

    assert asked.status in {400, 403, 405}
    assert [(each.method, each.target, each.values("impersonate-user")) for each in asked.arrived] == [
        (method, path, [user])
    ]


async def fresh_token(platform: Platform) -> str:
    done = await platform.kubectl("create", "token", "capsule-proxy", "-n", platform.settings.namespace)
    return done.stdout.strip()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_invariant_27_the_token_is_read_again_and_never_written(platform: Platform, tmp_path: Path) -> None:
    """A file with a line end at its end; renewed by renaming, as kubelet does; both sides use the new one."""
    first, second = await fresh_token(platform), await fresh_token(platform)
    async with Door.opened(platform, tmp_path, token=f"{first}\n", logLevel="debug") as door:
        asked = await door.ask("/version", token=door.issuer.token())
        assert asked.arrived[0].values("authorization") == [f"Bearer {first}"]
        draft = door.token_file.with_suffix(".new")
        draft.write_text(f"{second}\n")
        draft.replace(door.token_file)

        async def is_shown() -> bool:
            again = await door.ask("/version", token=door.issuer.token())
            return again.status == 200 and again.arrived[0].values("authorization") == [f"Bearer {second}"]

        async def is_shown_by_python() -> bool:
            await door.ask("/version", token=f"opaque-{len(door.upstream.arrived)}")
            reviews = [each for each in door.upstream.arrived if each.path.endswith("/tokenreviews")]
            return reviews[-1].values("authorization") == [f"Bearer {second}"]

        await until(is_shown)
        await until(is_shown_by_python)
        written = door.output()

    assert [token for token in (first, second) if token in written or token[-40:] in written] == []
    assert {value for each in door.upstream.arrived for value in each.values("authorization")} <= {
        f"Bearer {first}",
        f"Bearer {second}",
    }

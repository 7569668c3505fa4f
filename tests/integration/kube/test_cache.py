"""Caches against a real API server, over connections that break in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tenantry.api.core import ConfigMap
from tenantry.api.meta import PartialObject
from tenantry.controlplane.cluster import ControlPlane
from tenantry.kube.cache import Cache, Change
from tenantry.kube.client import Client
from tenantry.kube.config import Impersonation, load_config
from tenantry.kube.resources import CONFIG_MAPS, NAMESPACES, ROLE_BINDINGS, Resource

Eventually = Callable[[Callable[[], Any]], Awaitable[None]]


@asynccontextmanager
async def _running(*caches: Cache[Any]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(cache.run()) for cache in caches]
        async with asyncio.timeout(30):
            for cache in caches:
                await cache.wait_synced()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _map(name: str, namespace: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "data": data}


class _Follower:
    """Rebuilds the collection from the changes that a cache tells, and checks that they follow on each other."""

    def __init__(self, cache: Cache[ConfigMap]) -> None:
        self.objects: dict[str, ConfigMap] = {}
        self.changes: list[Change[ConfigMap]] = []
        cache.subscribe(self._take)

    def _take(self, change: Change[ConfigMap]) -> None:
        self.changes.append(change)
        obj = change.new or change.old
        assert obj is not None
        name = obj.metadata.name
        assert self.objects.get(name) == change.old
        self.objects.pop(name, None)
        if change.new is not None:
            self.objects[name] = change.new


async def _truth(client: Client, namespace: str, **selectors: Any) -> dict[str, ConfigMap]:
    return {item.metadata.name: item for item in (await client.list(CONFIG_MAPS, namespace, **selectors)).items}


def _held(cache: Cache[ConfigMap]) -> dict[str, ConfigMap]:
    return {item.metadata.name: item for item in cache.values()}


async def _change_many(client: Client, namespace: str, count: int, *, start: int = 0) -> None:
    """Create, change and delete objects, *count* changes in all, 32 at a time."""

    async def life(number: int) -> None:
        name = f"m{number}"
        await client.create(CONFIG_MAPS, _map(name, namespace, k="0"))
        for change in range(8):
            await client.patch(CONFIG_MAPS, name, namespace, patch={"data": {"k": str(change)}}, kind="merge")
        if number % 3:
            await client.delete(CONFIG_MAPS, name, namespace)
        else:
            await client.patch(CONFIG_MAPS, name, namespace, patch={"data": {"k": "last"}}, kind="merge")

    lives = iter(range(start, start + count // 10))

    async def worker() -> None:
        for number in lives:
            await life(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(worker())


async def test_a_cache_follows_what_happens(admin: Client, namespace: str, eventually: Eventually) -> None:
    cache = Cache(
        admin, CONFIG_MAPS, namespace=namespace, indexes={"of": lambda obj: (obj.metadata.labels or {}).values()}
    )
    follower = _Follower(cache)
    await admin.create(CONFIG_MAPS, _map("a", namespace, labels={"of": "x"}))
    assert (cache.synced, cache.resource_version, len(cache)) == (False, 0, 0)
    async with _running(cache):
        assert cache.get("a", namespace) is not None
        await admin.create(CONFIG_MAPS, _map("b", namespace, labels={"of": "x"}))
        await eventually(lambda: len(cache.by_index("of", "x")) == 2)
        await admin.patch(CONFIG_MAPS, "a", namespace, patch={"metadata": {"labels": {"of": "y"}}}, kind="merge")
        await admin.delete(CONFIG_MAPS, "b", namespace)
        await eventually(lambda: (len(cache.by_index("of", "x")), len(cache.by_index("of", "y"))) == (0, 1))

        truth = await _truth(admin, namespace)
        assert _held(cache) == follower.objects == truth
        assert cache.last_contact > 0


async def test_a_cache_reads_its_own_writes(admin: Client, namespace: str, eventually: Eventually) -> None:
    """The watch is far behind: it is never read while this runs."""
    cache = Cache(admin, CONFIG_MAPS, namespace=namespace)
    follower = _Follower(cache)
    async with _running(cache):
        version = cache.resource_version
        created = await admin.create(CONFIG_MAPS, _map("a", namespace, k="1"))
        cache.observe(created)
        assert cache.get("a", namespace) == created
        changed = await admin.patch(CONFIG_MAPS, "a", namespace, patch={"data": {"k": "2"}}, kind="merge")
        cache.observe(changed)
        cache.observe(created)  # A late answer.
        assert cache.get("a", namespace) == changed
        await admin.delete(CONFIG_MAPS, "a", namespace)
        cache.forget("a", namespace, uid=created.metadata.uid)
        assert cache.get("a", namespace) is None

        again = await admin.create(CONFIG_MAPS, _map("a", namespace, k="3"))
        await eventually(lambda: cache.resource_version >= int(again.metadata.resource_version) > version)
        assert cache.get("a", namespace) == again

    assert [
        change.new for change in follower.changes if "a" in {o.metadata.name for o in (change.old, change.new) if o}
    ] == [
        created,
        changed,
        None,
        again,
    ]


async def test_what_leaves_the_selector_leaves_the_cache(admin: Client, namespace: str, eventually: Eventually) -> None:
    cache = Cache(admin, CONFIG_MAPS, namespace=namespace, label_selector="keep=yes")
    async with _running(cache):
        await admin.create(CONFIG_MAPS, _map("a", namespace, labels={"keep": "yes"}))
        cache.observe(await admin.create(CONFIG_MAPS, _map("b", namespace, labels={"keep": "no"})))
        await eventually(lambda: set(_held(cache)) == {"a"})
        left = await admin.patch(
            CONFIG_MAPS, "a", namespace, patch={"metadata": {"labels": {"keep": "no"}}}, kind="merge"
        )
        cache.observe(left)
        await eventually(lambda: _held(cache) == {})


async def test_metadata_and_transformed_objects_are_held(admin: Client, namespace: str, eventually: Eventually) -> None:
    def without_data(obj: ConfigMap) -> ConfigMap:
        return ConfigMap(metadata=obj.metadata)

    kept = Cache(admin, CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=a", transform=without_data)
    partial: Cache[PartialObject] = Cache(
        admin, CONFIG_MAPS.metadata_only(), namespace=namespace, field_selector="metadata.name=a"
    )
    flagged = Cache(admin, CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=a", metadata_only=True)
    async with _running(kept, partial, flagged):
        created = await admin.create(CONFIG_MAPS, _map("a", namespace, k="v"))
        for cache in (kept, flagged):
            cache.observe(created)
        await eventually(lambda: len(partial) == 1)

        assert kept.get("a", namespace) == ConfigMap(metadata=created.metadata)
        for held in (partial.get("a", namespace), flagged.get("a", namespace)):
            assert isinstance(held, PartialObject)
            assert held.metadata == created.metadata


async def test_nothing_is_missed_while_the_connection_breaks_again_and_again(
    admin: Client, wired: Client, wire: Any, namespace: str, eventually: Eventually
) -> None:
    cache = Cache(wired, CONFIG_MAPS, namespace=namespace)
    follower = _Follower(cache)

    async def disturb() -> None:
        while True:
            await asyncio.sleep(0.05)
            wire.cut_once()

    async with _running(cache):
        disturber = asyncio.create_task(disturb())
        await _change_many(admin, namespace, 1000)
        disturber.cancel()
        with suppress(asyncio.CancelledError):
            await disturber
        truth = await _truth(admin, namespace)
        await eventually(lambda: _held(cache) == truth)

    assert follower.objects == truth
    assert wire.connections > 3


async def test_nothing_is_missed_after_ten_thousand_changes_during_a_disconnect(
    admin: Client, wired: Client, wire: Any, namespace: str, eventually: Eventually
) -> None:
    cache = Cache(wired, CONFIG_MAPS, namespace=namespace)
    follower = _Follower(cache)
    await _change_many(admin, namespace, 500)
    async with _running(cache):
        wire.cut()
        await admin.delete_collection(CONFIG_MAPS, namespace)
        await _change_many(admin, namespace, 10_000, start=1000)
        truth = await _truth(admin, namespace)
        assert _held(cache) != truth
        wire.mend()
        await eventually(lambda: _held(cache) == truth)

    assert follower.objects == truth


async def test_a_connection_that_is_dead_without_saying_so_is_given_up(
    admin: Client,
    wired: Client,
    wire: Any,
    namespace: str,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tenantry.kube.client.IDLE_SECONDS", 1.0)
    cache = Cache(wired, CONFIG_MAPS, namespace=namespace)
    async with _running(cache):
        await admin.create(CONFIG_MAPS, _map("a", namespace))
        await eventually(lambda: cache.get("a", namespace))
        wire.freeze()
        await admin.create(CONFIG_MAPS, _map("b", namespace))
        await eventually(lambda: cache.get("b", namespace))


async def test_rights_on_one_name_suffice_for_a_cache_of_it(
    admin: Client, wired: Client, wire: Any, namespace: str, eventually: Eventually
) -> None:
    """After a cut too: whatever is asked of the server to go on keeps to the selector."""
    role = {
        "metadata": {"name": "one", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"], "resourceNames": ["a"]}],
    }
    await admin.request("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles", body=role)
    binding = {
        "metadata": {"name": "one", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}],
    }
    await admin.create(ROLE_BINDINGS, binding)
    reader = wired.impersonating(Impersonation("reader"))
    cache = Cache(reader, CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=a")
    async with _running(cache):
        await admin.create(CONFIG_MAPS, _map("a", namespace, k="1"))
        await eventually(lambda: cache.get("a"))
        wire.cut_once()
        changed = await admin.patch(CONFIG_MAPS, "a", namespace, patch={"data": {"k": "2"}}, kind="merge")
        await eventually(lambda: cache.get("a") == changed)


async def test_a_restart_of_the_api_server_loses_nothing_and_leaves_nothing(
    private_control_plane: ControlPlane, new_wire: Any, eventually: Eventually
) -> None:
    """Both ends of the promise: resumed after a restart, and listed anew after 410.

    While the connection is cut the history is compacted away and the server restarted, so that
    neither etcd nor the server's own cache knows what happened since.
    """
    config = load_config(kubeconfig=str(private_control_plane.kubeconfig))
    wire = new_wire(config.server)
    calls: list[tuple[str, int]] = []
    wired_config = replace(config, server=await wire.open())
    async with (
        Client(config) as admin,
        Client(wired_config, observer=lambda verb, _plural, status, _seconds: calls.append((verb, status))) as wired,
    ):
        await admin.create(NAMESPACES, {"metadata": {"name": "team"}})
        await _change_many(admin, "team", 200)
        cache = Cache(wired, CONFIG_MAPS, namespace="team")
        follower = _Follower(cache)
        async with _running(cache):
            await private_control_plane.restart("kube-apiserver")
            await _until_it_answers(admin)
            await _change_many(admin, "team", 200, start=100)
            truth = await _truth(admin, "team")
            await eventually(lambda: _held(cache) == truth)
            assert follower.objects == truth

            wire.cut()
            gone = set(truth) - {"kube-root-ca.crt"}
            await admin.delete_collection(CONFIG_MAPS, "team")
            await _change_many(admin, "team", 200, start=200)
            await _compact(private_control_plane.etcd_endpoint, (await admin.list(NAMESPACES)).resource_version)
            await private_control_plane.restart("kube-apiserver")
            await _until_it_answers(admin)
            await admin.create(CONFIG_MAPS, _map("after", "team"))
            follower.changes.clear()
            calls.clear()
            wire.mend()

            async def is_the_truth() -> bool:  # Read anew: the control plane makes its own map again meanwhile.
                return _held(cache) == await _truth(admin, "team")

            await eventually(is_the_truth)
            held = _held(cache)
    await wire.close()

    assert ("after" in held, follower.objects) == (True, held)
    assert ("list", 200) in calls
    removed = {change.old.metadata.name for change in follower.changes if change.new is None and change.old is not None}
    assert removed >= gone


async def _until_it_answers(client: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(Exception):
                await client.list(NAMESPACES)
                return
            await asyncio.sleep(0.05)


async def _compact(etcd: str, revision: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{etcd}/v3/kv/compaction", json={"revision": revision, "physical": True}) as response,
    ):
        assert response.status == 200, await response.text()


async def test_several_kinds_are_cached_at_once(admin: Client, namespace: str, eventually: Eventually) -> None:
    kinds: list[Resource[Any]] = [NAMESPACES, CONFIG_MAPS]
    caches = [Cache(admin, kind) for kind in kinds]
    async with _running(*caches):
        await admin.create(CONFIG_MAPS, _map("a", namespace))
        assert caches[0].get(namespace) is not None
        await eventually(lambda: caches[1].get("a", namespace))

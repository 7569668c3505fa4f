"""Knowledge of a real cluster: what changes shows at once, statuses are written, missing kinds stop nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from tenantry.access.identity import Identity
from tenantry.api.meta import Condition
from tenantry.foundation.clock import SystemClock
from tenantry.gateway.knowledge.knowledge import Knowledge, NotKnownYetError
from tenantry.gateway.settings import VisibilitySettings
from tenantry.kube.client import Client
from tenantry.kube.config import ClusterConfig
from tenantry.kube.resources import (
    CRDS,
    GLOBAL_PROXY_SETTINGS,
    NAMESPACES,
    PROXY_SETTINGS,
    ROLE_BINDINGS,
    Resource,
)

LABEL = {"reflection.proxy.projectcapsule.dev/enabled": "true"}


def names(knowledge: Knowledge, user: str) -> set[str]:
    view = knowledge.view(Identity(user=user))
    assert view is not None
    return set(view.sight("", "v1", "namespaces", "list").names)


def binding(namespace: str, user: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "given", "namespace": namespace, **metadata},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


async def test_what_is_granted_shows_and_what_is_taken_away_hides(
    admin: Any, client: Client, running: Any, eventually: Any
) -> None:
    user = admin.unique("alice")
    await admin.users(("User", user))
    tenant = await admin.tenant(("User", user))
    other = await admin.namespace()
    async with running() as knowledge:
        told: list[tuple[frozenset[str] | None, int]] = []
        knowledge.subscribe(lambda keys, version: told.append((keys, version)))
        own = await admin.namespace(tenant)
        await eventually(lambda: names(knowledge, user) == {own})

        given = await client.create(ROLE_BINDINGS, binding(other, user, labels=LABEL))
        await eventually(lambda: names(knowledge, user) == {own, other})
        view = knowledge.view(Identity(user=user))
        assert view is not None
        assert view.all_namespaces() == tuple(sorted((own, other)))
        assert knowledge.changed_version(Identity(user=user)) == int(given.metadata.resource_version)

        await client.delete(ROLE_BINDINGS, "given", other)
        await eventually(lambda: names(knowledge, user) == {own})
        await admin.own(tenant)
        await eventually(lambda: names(knowledge, user) == set())

        alone, residents = frozenset({f"User:{user}"}), f"Group:system:serviceaccounts:{own}"
        assert [keys for keys, _ in told] == [alone | {residents}, alone, alone, alone]
        assert knowledge.changed_version(Identity(user=user)) == told[-1][1]
        assert knowledge.changed_version(Identity(user="nobody")) < told[0][1]


async def test_a_service_account_of_the_same_name_elsewhere_sees_nothing(
    admin: Any, client: Client, running: Any
) -> None:
    """CVE-2023-46254."""
    place, home, other = [await admin.namespace() for _ in range(3)]
    accounts = [f"system:serviceaccount:{each}:robot" for each in (home, other)]
    await admin.users(*(("ServiceAccount", each) for each in accounts))
    body = binding(place, "") | {"subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": home}]}
    await client.create(ROLE_BINDINGS, body)

    async with running() as knowledge:
        assert [names(knowledge, each) for each in accounts] == [{place}, set()]


async def test_a_binding_of_everybody_shows_nothing(admin: Any, client: Client, running: Any) -> None:
    user, place = admin.unique("alice"), await admin.namespace()
    await admin.users(("User", user))
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}
    await client.create(ROLE_BINDINGS, binding(place, "") | {"subjects": [group]})

    async with running() as knowledge:
        assert names(knowledge, user) == set()


def global_settings(name: str, user: str, selector: dict[str, Any]) -> dict[str, Any]:
    rule = {"apiGroups": [""], "resources": ["namespaces"], "selector": selector}
    subjects = [{"kind": "User", "name": user}]
    return {"metadata": {"name": name}, "spec": {"rules": [{"subjects": subjects, "clusterResources": [rule]}]}}


async def conditions(
    client: Client, resource: Resource[Any], name: str, namespace: str | None = None
) -> list[Condition]:
    stored = await client.get(resource, name, namespace)
    generation = stored.metadata.generation
    assert stored.status.observed_generation in {0, generation}
    assert all(each.observed_generation == generation for each in stored.status.conditions)
    return [each for each in stored.status.conditions if each.type == "Ready"]


async def test_a_rule_acts_before_it_is_said_to_be_ready(admin: Any, client: Client, running: Any) -> None:
    user, name = admin.unique("alice"), admin.unique("rule")
    await admin.users(("User", user))
    async with running() as knowledge:
        created = await client.create(GLOBAL_PROXY_SETTINGS, global_settings(name, user, {"matchLabels": {"a": "b"}}))
        changes = client.watch(
            GLOBAL_PROXY_SETTINGS,
            resource_version=created.metadata.resource_version,
            field_selector=f"metadata.name={name}",
        )
        async with asyncio.timeout(30), aclosing(changes):
            ready = await anext(changes)
        view = knowledge.view(Identity(user=user))

        assert view is not None
        assert view.sight("", "v1", "namespaces", "list").shows("any", {"a": "b"})
    condition, readable = ready.object.status.conditions
    assert (readable.type, readable.status, readable.reason) == ("Readable", "True", "Allowed")
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        "Ready",
        "True",
        "Succeeded",
        "reconciled",
    )
    assert condition.observed_generation == ready.object.status.observed_generation == 1


async def test_a_wrong_selector_is_said_and_shows_nothing_until_it_is_corrected(
    admin: Any, client: Client, running: Any, eventually: Any
) -> None:
    user, name = admin.unique("alice"), admin.unique("rule")
    await admin.users(("User", user))
    wrong = {"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}

    async def summary() -> list[tuple[str, str]]:
        return [(each.status, each.reason) for each in await conditions(client, GLOBAL_PROXY_SETTINGS, name)]

    async def is_refused() -> bool:
        return await summary() == [("False", "InvalidSelector")]

    async def is_ready() -> bool:
        stored = await client.get(GLOBAL_PROXY_SETTINGS, name)
        return stored.status.observed_generation == 2 and await summary() == [("True", "Succeeded")]

    async with running() as knowledge:
        view = knowledge.view(Identity(user=user))
        await client.create(GLOBAL_PROXY_SETTINGS, global_settings(name, user, wrong))
        await eventually(is_refused)
        view = knowledge.view(Identity(user=user))
        assert view is not None
        assert view.sight("", "v1", "namespaces", "list").is_nothing

        await client.patch(
            GLOBAL_PROXY_SETTINGS, name, patch=global_settings(name, user, {"matchLabels": {"a": "b"}}), kind="merge"
        )
        await eventually(is_ready)
        view = knowledge.view(Identity(user=user))
        assert view is not None
        assert view.sight("", "v1", "namespaces", "list").shows("any", {"a": "b"})


async def test_a_proxy_setting_outside_tenants_is_ready_and_grants_nothing(
    admin: Any, client: Client, running: Any, eventually: Any
) -> None:
    user, place = admin.unique("alice"), await admin.namespace()
    await admin.users(("User", user))
    rule = {"apiGroups": ["*"], "resources": ["*"], "selector": {}}
    spec = {"subjects": [{"kind": "User", "name": user, "clusterResources": [rule]}]}

    async def is_ready() -> bool:
        return [each.status for each in await conditions(client, PROXY_SETTINGS, "s", place)] == ["True"]

    async with running() as knowledge:
        await client.create(PROXY_SETTINGS, {"metadata": {"name": "s", "namespace": place}, "spec": spec})
        await eventually(is_ready)
        view = knowledge.view(Identity(user=user))

    assert view is not None
    assert view.sight("", "v1", "namespaces", "list").is_nothing
    assert view.sight("", "v1", "nodes", "list").is_nothing


async def test_several_replicas_agree_and_leave_each_other_s_statuses_alone(
    admin: Any, client: Client, running: Any, eventually: Any
) -> None:
    user, first, second = admin.unique("alice"), admin.unique("rule"), admin.unique("rule")

    def is_ready(name: str) -> Any:
        async def look() -> bool:
            return [each.status for each in await conditions(client, GLOBAL_PROXY_SETTINGS, name)] == ["True"]

        return look

    async with running(), running():
        await client.create(GLOBAL_PROXY_SETTINGS, global_settings(first, user, {}))
        await eventually(is_ready(first))
    before = await client.get(GLOBAL_PROXY_SETTINGS, first)

    async with running(), running():
        # Whoever starts looks at what is there first, and at what comes after it.
        await client.create(GLOBAL_PROXY_SETTINGS, global_settings(second, user, {}))
        await eventually(is_ready(second))

    assert await client.get(GLOBAL_PROXY_SETTINGS, first) == before


async def test_the_kinds_of_the_proxy_may_be_missing_come_and_go(
    admin: Any, client: Client, running: Any, eventually: Any, proxy_crds: Any
) -> None:
    user, name = admin.unique("alice"), admin.unique("rule")
    await admin.users(("User", user))
    own = await admin.namespace(await admin.tenant(("User", user)))

    def shows_all(knowledge: Knowledge) -> bool:
        view = knowledge.view(Identity(user=user))
        return view is not None and view.sight("", "v1", "namespaces", "list").shows("any", {})

    async with proxy_crds.removed(), running() as knowledge:
        assert names(knowledge, user) == {own}

        await proxy_crds.install()
        await client.create(GLOBAL_PROXY_SETTINGS, global_settings(name, user, {}))
        await eventually(lambda: shows_all(knowledge))

        await proxy_crds.remove()
        await eventually(lambda: not shows_all(knowledge))
        assert (names(knowledge, user), list(knowledge.problems())) == ({own}, [])


async def test_before_the_cluster_is_known_nobody_is_told_anything(client: Client) -> None:
    knowledge = Knowledge(client, VisibilitySettings(), clock=SystemClock())

    with pytest.raises(NotKnownYetError):
        knowledge.view(Identity(user="alice"))
    assert sorted(knowledge.problems()) == [
        "capsuleconfigurations were not listed yet",
        "globalproxysettings were not listed yet",
        "namespaces were not listed yet",
        "proxysettings were not listed yet",
        "rolebindings were not listed yet",
        "tenants were not listed yet",
    ]


async def test_why_a_cluster_is_not_known_is_said(eventually: Any) -> None:
    async with Client(ClusterConfig(server="https://127.0.0.1:1"), timeout_seconds=1) as nowhere:
        knowledge = Knowledge(nowhere, VisibilitySettings(), clock=SystemClock())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(knowledge.run())
            await eventually(lambda: all("127.0.0.1" in each for each in knowledge.problems()))
            task.cancel()


class LaterClock(SystemClock):
    """The machine's clock, so many seconds on."""

    ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


async def test_what_was_not_heard_of_for_long_is_a_problem(client: Client, eventually: Any) -> None:
    clock = LaterClock()
    knowledge = Knowledge(client, VisibilitySettings(), clock=clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(knowledge.run())
        await eventually(lambda: knowledge.is_known)
        assert list(knowledge.problems()) == []
        clock.ahead_seconds = 100.0
        assert list(knowledge.problems()) == []
        clock.ahead_seconds = 200.0
        problems = sorted(knowledge.problems())
        task.cancel()

    assert [each.partition(" were last heard of 20")[0] for each in problems] == [
        "capsuleconfigurations",
        "globalproxysettings",
        "namespaces",
        "proxysettings",
        "rolebindings",
        "tenants",
    ]


async def test_namespaces_that_are_gone_are_not_shown(
    admin: Any, client: Client, running: Any, eventually: Any
) -> None:
    user = admin.unique("alice")
    await admin.users(("User", user))
    tenant = await admin.tenant(("User", user))
    kept, gone = await admin.namespace(tenant), await admin.namespace(tenant)
    async with running() as knowledge:
        assert names(knowledge, user) == {kept, gone}

        await client.delete(NAMESPACES, gone)

        await eventually(lambda: names(knowledge, user) == {kept})


async def test_crds_of_the_proxy_are_installed(client: Client) -> None:
    """The other tests would pass for the wrong reason without them."""
    served = {each.metadata.name for each in (await client.list(CRDS)).items}

    assert {"globalproxysettings.capsule.clastix.io", "proxysettings.capsule.clastix.io"} <= served

"""Ingresses in a tenant's namespace: classes, hosts, wildcards, collisions (L-9 to L-12, L-15)."""

from __future__ import annotations

import asyncio

from tenantry.kube.errors import ApiError
from tenantry.testing.plain import (
    Json,
    Team,
    ingress,
    ingress_class,
    refused,
    standing,
    team,
    told,
    usable,
)
from tenantry.testing.world import World

OLD_CLASS = "kubernetes.io/ingress.class"


def annotated(name: str) -> Json:
    """Return the metadata by which old manifests name their class."""
    return {"metadata": {"annotations": {OLD_CLASS: name}}}


async def test_a_class_is_required_and_must_be_allowed(world: World) -> None:
    """L-9: by field or by the old annotation; by name, expression or labels of the class."""
    names = {role: world.unique(role) for role in ("nginx", "haproxy", "labelled", "other")}
    classes = [ingress_class(names[role]) for role in ("nginx", "haproxy", "other")]
    classes.append(ingress_class(names["labelled"], metadata={"labels": {"env": "customer"}}))
    allowed = {"allowed": [names["nginx"]], "allowedRegex": "^haproxy-", "matchLabels": {"env": "customer"}}
    team_ = await team(world, {"ingressOptions": {"allowedClasses": allowed}})
    owner, ns = team_.owner, team_.namespace
    async with standing(team_.admin, *classes):
        for role in ("nginx", "haproxy", "labelled"):
            field = ingress(ns, role, "a.example", ingressClassName=names[role])
            old = ingress(ns, role, "a.example", **annotated(names[role]))
            await world.eventually(lambda field=field: owner.create(field, dry_run=True))  # type: ignore[misc]
            await owner.create(old, dry_run=True)
        listed = f"use one from the following list ({names['nginx']})"
        forbidden = f"Ingress Class {names['other']} is forbidden for the current Tenant"
        await refused(owner.create(ingress(ns, "web", "a.example", ingressClassName=names["other"])), forbidden, listed)
        await refused(owner.create(ingress(ns, "web", "a.example", **annotated(names["other"]))), forbidden, listed)
        await refused(owner.create(ingress(ns, "web", "a.example")), listed)
        await told(world, ns, "ForbiddenIngressClass", names["other"])
        await told(world, ns, "MissingIngressClass")
        web = ingress(ns, "web", "a.example", ingressClassName=names["nginx"])
        await owner.create(web)
        await refused(owner.change(web, lambda o: o["spec"].update(ingressClassName=names["other"])), forbidden)
        await refused(owner.patch(web, {"spec": {"ingressClassName": None}}), listed)
        await owner.patch(web, {"metadata": {"annotations": {"note": "1"}}})


async def test_the_default_class_stands_in_also_for_the_clusters_own(world: World) -> None:
    """L-15: a class is given where there is none, and before the cluster's default."""
    mine, global_ = world.unique("mine"), world.unique("global")
    is_default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    team_ = await team(world, {"ingressOptions": {"allowedClasses": {"allowed": [mine, global_], "default": mine}}})
    none = ingress(team_.namespace, "web", "a.example")
    assert (await team_.owner.create(none, dry_run=True))["spec"]["ingressClassName"] == mine
    async with standing(team_.admin, ingress_class(mine), ingress_class(global_, metadata=is_default)):

        async def replaced() -> bool:
            return bool((await team_.owner.create(none, dry_run=True))["spec"]["ingressClassName"] == mine)

        await world.eventually(replaced)
    old = ingress(team_.namespace, "old", "a.example", **annotated(mine))
    assert "ingressClassName" not in (await team_.owner.create(old, dry_run=True))["spec"]
    given = ingress(team_.namespace, "given", "a.example", ingressClassName=global_)
    await team_.owner.create(given, dry_run=True)
    await team_.owner.create(none)
    event = await told(world, team_.namespace, "TenantDefaulted", mine)
    assert (event["type"], event["action"], event["regarding"]["name"]) == ("Normal", "Mutated", "web")
    changed = await team_.owner.change(none, lambda o: o["spec"].pop("ingressClassName"))
    assert changed["spec"]["ingressClassName"] == mine


async def test_hostnames_are_allowed_by_name_or_expression(world: World) -> None:
    """L-10, L-12: each rule's host; an empty one is refused where a list exists, wildcards where not allowed."""
    allowed = {"allowed": ["sigs.k8s.io", "operator.sdk"], "allowedRegex": r".*\.clastix\.io"}
    team_ = await team(world, {"ingressOptions": {"allowedHostnames": allowed}})
    owner, ns = team_.owner, team_.namespace
    await owner.create(ingress(ns, "ok", "sigs.k8s.io", "operator.sdk", "foo.clastix.io"), dry_run=True)
    facts = ("sigs.k8s.io, operator.sdk", r".*\.clastix\.io")
    await refused(owner.create(ingress(ns, "bad", "sigs.k8s.io", "kubernetes.io")), "kubernetes.io", *facts)
    await refused(owner.create(ingress(ns, "bad", "sigs.k8s.io", "")), *facts)
    await refused(owner.create(ingress(ns, "bad")), *facts)
    await refused(owner.create(ingress(ns, "bad", "*.clastix.io")), f"Wildcard denied for tenant {team_.tenant}")
    for reason in ("IngressHostnameNotValid", "IngressHostnameEmpty", "WildcardDenied"):
        await told(world, ns, reason)

    web = ingress(ns, "web", "sigs.k8s.io")
    await owner.create(web)
    await refused(owner.change(web, lambda o: o["spec"]["rules"][0].update(host="evil.io")), "evil.io")
    await world.edit_tenant(team_.tenant, {"ingressOptions": {"allowWildcardHostnames": True}})
    await owner.create(ingress(ns, "wild", "*.clastix.io"), dry_run=True)


async def two_namespaces(world: World, scope: str) -> tuple[Team, str]:
    """Make a tenant that has *scope*, with two namespaces."""
    team_ = await team(world, {"ingressOptions": {"hostnameCollisionScope": scope}})
    second = await world.namespace(team_.owner.client, team_.tenant)
    await usable(world, team_.owner.client, second)
    return team_, second


async def test_collisions_by_scope(world: World) -> None:
    """L-11: the same host and path, in the namespace, the tenant, the cluster or anywhere; other paths never."""
    host = f"{world.unique('web')}.example"
    cluster, tenant, namespace = [await two_namespaces(world, scope) for scope in ("Cluster", "Tenant", "Namespace")]
    anywhere, _ = await two_namespaces(world, "Disabled")
    free = ingress("default", world.unique("free"), host, path="/free")
    async with standing(anywhere.admin, free):
        # Ingresses outside tenants count for the cluster alone.
        await refused(
            cluster[0].owner.create(ingress(cluster[1], "x", host, path="/free")),
            f"Hostname {host} with the path /free is already used across the cluster",
        )
        await tenant[0].owner.create(ingress(tenant[1], "x", host, path="/free"), dry_run=True)

    for team_, second in (tenant, namespace):
        await team_.owner.create(ingress(team_.namespace, "first", host, path="/a"))
        await refused(team_.owner.create(ingress(team_.namespace, "second", host, path="/a")), host, "already used")
        await team_.owner.create(ingress(team_.namespace, "second", host, path="/b"), dry_run=True)
        if team_ is tenant[0]:
            await refused(
                team_.owner.create(ingress(second, "x", host, path="/a")), host, "already used across the tenant"
            )
        else:
            await team_.owner.create(ingress(second, "x", host, path="/a"))
    await anywhere.owner.create(ingress(anywhere.namespace, "one", host, path="/a"))
    await anywhere.owner.create(ingress(anywhere.namespace, "two", host, path="/a"))
    await refused(cluster[0].owner.create(ingress(cluster[1], "x", host, path="/a")), host, "across the cluster")
    await told(world, cluster[1], "IngressHostnameCollision", host)

    # Moving there is a collision as well, what one has is none, and what is given up is free.
    mine = ingress(cluster[1], "mine", host, path="/mine")
    await cluster[0].owner.create(mine)
    await cluster[0].owner.patch(mine, {"metadata": {"annotations": {"note": "1"}}})

    def move(obj: Json) -> None:
        obj["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/a"

    await refused(cluster[0].owner.change(mine, move), host, "already used")
    await cluster[0].owner.delete(mine)
    other = ingress(cluster[0].namespace, "other", host, path="/mine")
    await world.eventually(lambda: cluster[0].owner.create(other))


async def race(world: World, scope: str) -> None:
    """Have ten Ingresses ask for one host at once; one gets it."""
    team_, second = await two_namespaces(world, scope)
    host = f"{world.unique('race')}.example"
    places = [team_.namespace, second] if scope != "Namespace" else [second]
    bodies = [ingress(places[index % len(places)], f"web-{index}", host) for index in range(10)]
    results = await asyncio.gather(*map(team_.owner.create, bodies), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, ApiError)]
    assert [refusal.status for refusal in refusals] == [403] * 9, results
    assert [
        refusal for refusal in refusals if f"Hostname {host} with the path / is already used" not in str(refusal)
    ] == []


async def test_ten_at_once_and_one_gets_the_host(world: World) -> None:
    """13.14: parallel creates of the same host and path, in two namespaces where the scope spans them."""
    for scope in ("Cluster", "Tenant", "Namespace"):
        await race(world, scope)

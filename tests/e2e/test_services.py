"""Services by a Tenant's own fields, and metadata that the controller adds (L-8, R-8)."""

from __future__ import annotations

from tenantry.testing.plain import owned_labels, pod, refused, service, team, told
from tenantry.testing.world import World

FORBIDDEN = {"denied": ["foo.acme.io/one"], "deniedRegex": "^gatsby-.*$"}


async def test_types_can_be_switched_off(world: World) -> None:
    """L-8: each of the three; ClusterIP always passes."""
    switches = {"nodePort": "NodePort", "externalName": "ExternalName", "loadBalancer": "LoadBalancer"}
    team_ = await team(world, {"serviceOptions": {"allowedServices": dict.fromkeys(switches, False)}})
    await team_.owner.create(service(team_.namespace, "plain"))
    for kind in switches.values():
        extra = {"externalName": "a.example"} if kind == "ExternalName" else {}
        await refused(
            team_.owner.create(service(team_.namespace, "web", type=kind, **extra)),
            f"{kind} service types are forbidden for the current Tenant",
        )
        await told(world, team_.namespace, f"Forbidden{kind}")
    plain = service(team_.namespace, "plain")
    await refused(team_.owner.change(plain, lambda o: o["spec"].update(type="NodePort")), "NodePort")

    await world.edit_tenant(team_.tenant, {"serviceOptions": {"allowedServices": dict.fromkeys(switches, True)}})
    for kind in ("NodePort", "LoadBalancer"):
        await team_.owner.create(service(team_.namespace, "web", type=kind), dry_run=True)


async def test_external_addresses_lie_in_what_is_allowed(world: World) -> None:
    """L-8: CIDRs, single addresses written as such, none of the rest."""
    allowed = ["10.20.0.0/16", "192.168.1.2/32", "172.16.0.9"]
    team_ = await team(world, {"serviceOptions": {"externalIPs": {"allowed": allowed}}})
    await team_.owner.create(service(team_.namespace, "web", externalIPs=["10.20.7.7", "192.168.1.2"]), dry_run=True)
    await team_.owner.create(service(team_.namespace, "web", externalIPs=["172.16.0.9"]), dry_run=True)
    for addresses in (["8.8.8.8"], ["10.20.0.1", "8.8.8.8"]):
        await refused(team_.owner.create(service(team_.namespace, "web", externalIPs=addresses)), "8.8.8.8", *allowed)
    await told(world, team_.namespace, "ForbiddenExternalServiceIP", "8.8.8.8")


async def test_forbidden_metadata(world: World) -> None:
    """L-8: exact keys and an expression; of an update, only what it sets."""
    team_ = await team(world, {"serviceOptions": {"forbiddenLabels": FORBIDDEN, "forbiddenAnnotations": FORBIDDEN}})
    for field, reason in (("labels", "ForbiddenLabel"), ("annotations", "ForbiddenAnnotation")):
        for key in ("foo.acme.io/one", "gatsby-foo"):
            await refused(
                team_.owner.create(service(team_.namespace, "web", metadata={field: {key: "1"}})), key, "forbidden"
            )
        await told(world, team_.namespace, reason, "gatsby-foo")
    web = service(team_.namespace, "web", metadata={"labels": {"bim": "baz"}})
    await team_.owner.create(web)
    await refused(team_.owner.patch(web, {"metadata": {"labels": {"gatsby-bar": "1"}}}), "gatsby-bar")
    changed = await team_.owner.patch(web, {"metadata": {"labels": {"bim": "bar"}}})
    assert changed["metadata"]["labels"] == {"bim": "bar", **owned_labels(team_.tenant)}


async def test_additional_metadata_reaches_services_their_slices_and_pods(world: World) -> None:
    """R-8: objects that exist already as well, and what the user set stays."""
    team_ = await team(world, {})
    ns = team_.namespace
    web = service(ns, "web", selector={"app": "web"}, metadata={"labels": {"mine": "1"}})
    await team_.owner.create(web)
    worker = pod(ns, "worker", metadata={"labels": {"app": "web"}})
    await team_.owner.create(worker)
    extra = {"labels": {"k8s.io/custom": "foo", "clastix.io/custom": "bar"}, "annotations": {"a.io/b": "c"}}
    await world.edit_tenant(
        team_.tenant,
        {"serviceOptions": {"additionalMetadata": extra}, "podOptions": {"additionalMetadata": extra}},
    )

    async def dressed() -> bool:
        slices = await team_.admin.list("discovery.k8s.io/v1", "EndpointSlice", ns)
        assert slices
        for found in (await team_.admin.get(web), await team_.admin.get(worker), *slices):
            meta = found["metadata"]
            assert extra["labels"].items() <= meta["labels"].items(), meta
            assert extra["annotations"].items() <= meta.get("annotations", {}).items(), meta
        return True

    await world.eventually(dressed)
    assert (await team_.admin.get(web))["metadata"]["labels"] == {
        "mine": "1",
        **extra["labels"],
        **owned_labels(team_.tenant),
    }
    late = service(ns, "late")
    await team_.owner.create(late)

    async def late_dressed() -> bool:
        return bool(extra["labels"].items() <= (await team_.admin.get(late))["metadata"]["labels"].items())

    await world.eventually(late_dressed)
    await team_.owner.patch(late, {"metadata": {"labels": {"k8s.io/custom": None, "clastix.io/custom": "other"}}})
    await world.eventually(late_dressed)


async def test_what_the_tenant_itself_adds_passes_its_forbidden_lists(world: World) -> None:
    """14.1: managed keys pass an expression that forbids their prefix; the user's own do not."""
    options = {
        "forbiddenLabels": {"denied": [], "deniedRegex": "^acme\\.io/"},
        "additionalMetadata": {"labels": {"acme.io/team": "oil"}},
    }
    team_ = await team(world, {"serviceOptions": options})
    web = service(team_.namespace, "web")
    await team_.owner.create(web)

    async def added() -> bool:
        return bool((await team_.owner.get(web))["metadata"]["labels"].get("acme.io/team") == "oil")

    await world.eventually(added)
    await team_.owner.change(web, lambda o: o["metadata"].setdefault("annotations", {}).update(note="1"))
    await refused(team_.owner.patch(web, {"metadata": {"labels": {"acme.io/other": "x"}}}), "acme.io/other")
    await refused(team_.owner.patch(web, {"metadata": {"labels": {"acme.io/team": "gas"}}}), "acme.io/team")

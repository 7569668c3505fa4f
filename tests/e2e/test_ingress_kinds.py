"""Hostname rules for every kind of ingress, and classes of Gateways (RL-17, E-8, L-13, L-15)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tenantry.kube.resources import CRDS
from tenantry.testing.plain import Json, Plain, Team, any_object, ingress, refused, standing, team, told
from tenantry.testing.world import World

GATEWAY, OPENSHIFT = "gateway.networking.k8s.io", "route.openshift.io"
AUDIT = "NamespaceRuleAudit"
KINDS = {
    "Gateway": f"{GATEWAY}/v1",
    "HTTPRoute": f"{GATEWAY}/v1",
    "GRPCRoute": f"{GATEWAY}/v1",
    "TLSRoute": f"{GATEWAY}/v1alpha3",
    "ListenerSet": f"{GATEWAY}/v1",
    "Route": f"{OPENSHIFT}/v1",
}
HOSTS = ["spec.listeners[0].hostname", "spec.hostnames[0]", "spec.host"]


def crd(api_version: str, kind: str, scope: str = "Namespaced") -> Json:
    """Return a CustomResourceDefinition that takes anything."""
    group, version = api_version.split("/")
    plural = "gatewayclasses" if kind == "GatewayClass" else f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    body = any_object(
        CRDS.api_version,
        CRDS.kind,
        f"{plural}.{group}",
        spec={
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    )
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for tests"}
    return body


@asynccontextmanager
async def kinds_served(world: World, *kinds: str) -> AsyncIterator[None]:
    """Have the API server serve *kinds*."""
    admin = Plain(world.admin)
    crds = [crd(KINDS[kind], kind) for kind in kinds if kind in KINDS]
    crds += [crd(f"{GATEWAY}/v1", "GatewayClass", "Cluster")] if "GatewayClass" in kinds else []
    for one in crds:  # An earlier test's may still be going.
        await world.eventually(lambda one=one: gone(admin, one))  # type: ignore[misc]
    async with standing(admin, *crds):
        for kind in kinds:
            version = KINDS.get(kind, f"{GATEWAY}/v1")
            await world.eventually(lambda version=version, kind=kind: served(admin, version, kind))  # type: ignore[misc]
        yield


async def gone(admin: Plain, obj: Json) -> bool:
    """Return true once there is no such object."""
    await refused(admin.get(obj), status=404)
    return True


async def served(admin: Plain, version: str, kind: str) -> bool:
    """Return true once objects of a kind can be listed."""
    await admin.list(version, kind)
    return True


def hosted(kind: str, namespace: str, name: str, host: str) -> Json:
    """Return an object of *kind* for *host*; empty for none."""
    if kind in {"Gateway", "ListenerSet"}:
        spec: Json = {
            "listeners": [{"name": "web", "port": 80, "protocol": "HTTP"} | ({"hostname": host} if host else {})]
        }
    elif kind == "Route":
        spec = {"host": host, "to": {"kind": "Service", "name": "web"}}
    else:
        spec = {"hostnames": [host] if host else []}
    return any_object(KINDS[kind], kind, name, namespace, spec=spec)


def rule(action: str, *types: str, exact: str = "", exp: str = "") -> Json:
    """Return a rule about hostnames."""
    match: Json = ({"exact": [exact]} if exact else {}) | ({"exp": exp} if exp else {})
    return {"enforce": {"action": action, "ingress": {"types": list(types), "hostnames": [match]}}}


def path(kind: str) -> str:
    """Return where *kind* has its first hostname."""
    return HOSTS[0 if kind in {"Gateway", "ListenerSet"} else 2 if kind == "Route" else 1]


async def test_hostname_rules_for_ingresses(world: World) -> None:
    """E-8: hosts of rules and of TLS, each with its place; a missing one is refused, or told by audit."""
    rules = [
        rule("allow", "Ingress", exact="a.example", exp=r"^.+\.dev\.example$"),
        rule("deny", "Ingress", exact="bad.dev.example"),
        rule("audit", "Ingress", exp="^x"),
    ]
    team_ = await team(world, {"rules": rules})
    owner, ns = team_.owner, team_.namespace
    tls: Json = {"tls": [{"hosts": ["a.example", "evil.example"], "secretName": "x"}]}
    allowed = ("is not allowed by namespace rule", "exact: a.example", r"exp: ^.+\.dev\.example$")

    await owner.create(ingress(ns, "ok", "a.example", "web.dev.example", tls=[{"hosts": ["a.example"]}]), dry_run=True)
    await refused(
        owner.create(ingress(ns, "no", "a.example", "evil.example")), '"evil.example" at spec.rules[1].host', *allowed
    )
    await refused(
        owner.create(ingress(ns, "no", "a.example", **tls)), '"evil.example" at spec.tls[0].hosts[1]', *allowed
    )
    await refused(
        owner.create(ingress(ns, "no", "bad.dev.example")),
        '"bad.dev.example" at spec.rules[0].host is denied by namespace rule',
    )
    missing = ("hostname is required", "Ingress")
    await refused(owner.create(ingress(ns, "no", "a.example", "")), *missing, "spec.rules[].host")
    await refused(owner.create(ingress(ns, "no")), *missing, "spec.rules[].host")
    await refused(
        owner.create(ingress(ns, "no", "a.example", tls=[{"secretName": "x"}])), *missing, "spec.tls[0].hosts"
    )

    web = ingress(ns, "web", "xyz.dev.example")
    await owner.create(web)
    await told(world, ns, AUDIT, '"xyz.dev.example" at spec.rules[0].host matched audit namespace rule')
    await refused(owner.change(web, lambda o: o["spec"]["rules"][0].update(host="evil.example")), "evil.example")
    await refused(owner.create(ingress(ns, "audited")), *missing)
    await told(world, ns, AUDIT, "empty hostname detected", "spec.rules[].host", "audit namespace rule")


async def test_hostname_rules_for_routes_and_gateways(world: World) -> None:
    """E-8: the other types, each judged only by rules that name it."""
    team_ = await team(world, {"rules": [rule("allow", *KINDS, exact="a.example", exp=r"\.dev\.example$")]})
    async with kinds_served(world, *KINDS):
        for kind in KINDS:
            await _judged_by_host(team_, kind)
        await world.edit_tenant(
            team_.tenant, {"rules": [rule("audit", *KINDS, exp="^x"), rule("deny", "Ingress", exp=".")]}
        )
        for kind in KINDS:
            name = f"audited-{kind.lower()}"
            await team_.admin.create(hosted(kind, team_.namespace, name, "x.example"))
            await told(world, team_.namespace, AUDIT, f'"x.example" at {path(kind)} matched audit namespace rule')
            await team_.admin.create(hosted(kind, team_.namespace, f"{name}-none", ""))
            await told(
                world,
                team_.namespace,
                AUDIT,
                "empty hostname detected",
                kind,
                path(kind).replace("hostnames[0]", "hostnames[]"),
            )


async def _judged_by_host(team_: Team, kind: str) -> None:
    def create(host: str) -> Any:
        return team_.admin.create(hosted(kind, team_.namespace, "web", host), dry_run=True)

    for host in ("a.example", "web.dev.example"):
        await create(host)
    facts = ("is not allowed by namespace rule", "exact: a.example", r"exp: \.dev\.example$")
    await refused(create("evil.example"), f'"evil.example" at {path(kind)}', *facts)
    place = path(kind).replace("hostnames[0]", "hostnames[]")
    await refused(create(""), "hostname is required", kind, place)


async def test_gateway_classes(world: World) -> None:
    """L-13, L-15: by name, expression or labels; the default where none is named, before anything else."""
    mine, other, labelled = (world.unique(name) for name in ("mine", "other", "labelled"))
    version = KINDS["Gateway"]
    classes = [
        any_object(version, "GatewayClass", name, spec={"controllerName": "example.com/none"}) for name in (mine, other)
    ]
    classes.append(any_object(version, "GatewayClass", labelled, spec={"controllerName": "example.com/none"}))
    classes[2]["metadata"]["labels"] = {"env": "customer"}
    allowed = {"allowed": [mine], "matchLabels": {"env": "customer"}}

    def gateway(namespace: str, name: str) -> Json:
        return any_object(version, "Gateway", "web", namespace, spec={"gatewayClassName": name, "listeners": []})

    async with kinds_served(world, "Gateway", "GatewayClass"), standing(Plain(world.admin), *classes):
        plain = await team(world, {"gatewayOptions": {"allowedClasses": allowed}})
        for name in (mine, labelled):
            await world.eventually(lambda name=name: plain.admin.create(gateway(plain.namespace, name), dry_run=True))  # type: ignore[misc]
        message = await refused(
            plain.admin.create(gateway(plain.namespace, other)),
            f"Gateway Class {other} is forbidden for the current Tenant",
            f"use one from the following list ({mine})",
        )
        assert "web" not in message.partition("denied the request:")[2]
        await refused(plain.admin.create(gateway(plain.namespace, "")), f"use one from the following list ({mine})")
        await told(world, plain.namespace, "ForbiddenGatewayClass", other)
        await told(world, plain.namespace, "MissingGatewayClass")

        defaulted = await team(world, {"gatewayOptions": {"allowedClasses": {**allowed, "default": mine}}})
        made = await defaulted.admin.create(gateway(defaulted.namespace, ""))
        assert made["spec"]["gatewayClassName"] == mine
        web = gateway(defaulted.namespace, "web")
        await refused(defaulted.admin.change(web, lambda o: o["spec"].update(gatewayClassName=other)), other)
        changed = await defaulted.admin.change(web, lambda o: o["spec"].update(gatewayClassName=""))
        assert changed["spec"]["gatewayClassName"] == mine

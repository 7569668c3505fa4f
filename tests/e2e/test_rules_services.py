"""Rules about Services: types, load balancers, external names, node ports (RL-13 to RL-16, E-7)."""

from __future__ import annotations

from typing import Any

from tenantry.testing.plain import Json, Team, refused, service, team, told
from tenantry.testing.world import World

AUDIT = "NamespaceRuleAudit"


def services(action: str, **parts: Any) -> Json:
    """Return a rule about Services."""
    return {"enforce": {"action": action, "services": parts}}


async def create(team_: Team, **spec: Any) -> Json:
    """Dry-run a Service."""
    return await team_.owner.create(service(team_.namespace, "web", **spec), dry_run=True)


def port(number: int | None = None) -> list[Json]:
    """Return ports with an explicit node port, or none."""
    return [{"name": "http", "port": 80, "protocol": "TCP", **({"nodePort": number} if number else {})}]


def external(host: str) -> Json:
    """Return the spec of an ExternalName Service."""
    return {"type": "ExternalName", "externalName": host, "ports": None}


async def test_types(world: World) -> None:
    """RL-13: an empty type is ClusterIP; a later block may deny what an earlier one allows."""
    rules = [
        services("allow", types=["ClusterIP", "NodePort", "ExternalName"]),
        services("deny", types=["ExternalName"]),
        services("audit", types=["NodePort", "LoadBalancer"]),
    ]
    team_ = await team(world, {"rules": rules})
    await create(team_)
    await create(team_, type="NodePort")
    await refused(
        create(team_, type="LoadBalancer"),
        'service type "LoadBalancer" at spec.type is not allowed by namespace rule',
        "Allowed service types: ClusterIP, NodePort, ExternalName",
    )
    await refused(
        create(team_, **external("a.example")), 'service type "ExternalName" at spec.type is denied by namespace rule'
    )

    web = service(team_.namespace, "web")
    await team_.owner.create(web)
    await refused(
        team_.owner.change(web, lambda o: o["spec"].update(type="LoadBalancer")), '"LoadBalancer"', "is not allowed"
    )
    changed = await team_.owner.change(web, lambda o: o["spec"].update(type="NodePort"))
    assert changed["spec"]["type"] == "NodePort"
    await told(world, team_.namespace, AUDIT, 'service type "NodePort" at spec.type matched audit namespace rule')
    await told(world, team_.namespace, AUDIT, 'service type "LoadBalancer" at spec.type matched audit namespace rule')
    await told(world, team_.namespace, "ForbiddenServiceType", "LoadBalancer")


async def test_external_names(world: World) -> None:
    """RL-15: exact hosts, expressions, and what the message says of both."""
    rules = [
        services("allow", externalNames={"hostnames": [{"exact": ["api.example.com"], "exp": ".*\\.svc\\.example$"}]}),
        services("deny", externalNames={"hostnames": [{"exact": ["bad.svc.example"]}]}),
        services("audit", externalNames={"hostnames": [{"exp": "^web\\."}]}),
    ]
    team_ = await team(world, {"rules": rules})
    await create(team_)
    await create(team_, **external("api.example.com"))
    await refused(
        create(team_, **external("evil.com")),
        'externalName hostname "evil.com" at spec.externalName is not allowed by namespace rule',
        "Allowed hostnames",
        "exact: api.example.com",
        "exp: .*\\.svc\\.example$",
    )
    await refused(
        create(team_, **external("bad.svc.example")),
        '"bad.svc.example" at spec.externalName is denied by namespace rule',
        "exact: bad.svc.example",
    )
    await team_.owner.create(service(team_.namespace, "web", **external("web.svc.example")))
    await told(
        world,
        team_.namespace,
        AUDIT,
        'externalName hostname "web.svc.example" at spec.externalName matched audit',
        "^web\\.",
    )


async def test_load_balancers(world: World) -> None:
    """RL-14: address and source ranges lie wholly within one CIDR, and one of the two must be there."""
    rules = [
        services("allow", loadBalancers={"cidrs": ["10.0.0.0/16", "192.168.1.0/24"]}),
        services("deny", loadBalancers={"cidrs": ["10.0.9.0/24"]}),
        services("audit", loadBalancers={"cidrs": ["10.0.8.0/24"]}),
    ]
    team_ = await team(world, {"rules": rules})
    lb = {"type": "LoadBalancer"}
    await create(team_, **lb, loadBalancerIP="10.0.3.4")
    await create(team_, **lb, loadBalancerSourceRanges=["10.0.4.0/24", "192.168.1.128/25"])
    await create(team_, type="NodePort")
    await refused(
        create(team_, **lb, loadBalancerIP="172.16.0.1"),
        'loadBalancer CIDR "172.16.0.1" at spec.loadBalancerIP is not allowed by namespace rule',
        "Allowed CIDRs: 10.0.0.0/16, 192.168.1.0/24",
    )
    await refused(
        create(team_, **lb, loadBalancerIP="10.0.1.1", loadBalancerSourceRanges=["192.168.0.0/16"]),
        'loadBalancer CIDR "192.168.0.0/16" at spec.loadBalancerSourceRanges[0] is not allowed',
    )
    await refused(
        create(team_, **lb, loadBalancerIP="10.0.9.1"),
        '"10.0.9.1" at spec.loadBalancerIP is denied by namespace rule',
        "10.0.9.0/24",
    )
    await refused(
        create(team_, **lb),
        "requires spec.loadBalancerIP or spec.loadBalancerSourceRanges",
        "loadBalancer CIDR constraints are enforced by namespace rule",
    )
    await team_.owner.create(service(team_.namespace, "web", **lb, loadBalancerIP="10.0.8.8"))
    await told(
        world,
        team_.namespace,
        AUDIT,
        'loadBalancer CIDR "10.0.8.8" at spec.loadBalancerIP matched audit namespace rule',
    )


async def test_node_ports(world: World) -> None:
    """RL-16: they must be given and lie in a range, also those of load balancers that allocate some."""
    rules = [
        services("allow", nodePorts={"ports": [{"from": 30000, "to": 30100}, {"from": 30500, "to": 30500}]}),
        services("deny", nodePorts={"ports": [{"from": 30050, "to": 30050}]}),
        services("audit", nodePorts={"ports": [{"from": 30500, "to": 30500}]}),
    ]
    team_ = await team(world, {"rules": rules})
    await create(team_)
    await create(team_, type="NodePort", ports=port(30001))
    await create(team_, type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    await refused(
        create(team_, type="NodePort", ports=port(31000)),
        'nodePort "31000" at spec.ports[0].nodePort is not allowed by namespace rule',
        "Allowed ranges",
        "30000-30100",
        "30500",
    )
    await refused(create(team_, type="NodePort", ports=port(30050)), 'nodePort "30050"', "is denied by namespace rule")
    for kind in ("NodePort", "LoadBalancer"):
        await refused(
            create(team_, type=kind),
            "requires explicit spec.ports[*].nodePort",
            "nodePort ranges are enforced by namespace rule",
        )
    plain = service(team_.namespace, "plain")
    await team_.owner.create(plain)
    await refused(
        team_.owner.change(plain, lambda o: o["spec"].update(type="NodePort")),
        "requires explicit spec.ports[*].nodePort",
    )
    web = service(team_.namespace, "web", type="NodePort", ports=port(30500))
    await team_.owner.create(web)
    # What was given once need not be given again: the API server keeps it.
    kept = await team_.owner.change(web, lambda o: o["spec"].update(ports=port()))
    assert kept["spec"]["ports"][0]["nodePort"] == 30500
    await told(world, team_.namespace, AUDIT, 'nodePort "30500" at spec.ports[0].nodePort matched audit namespace rule')


async def test_audits_alone_let_everything_pass(world: World) -> None:
    """E-3: nothing is required or refused by an audit block, whatever is missing."""
    rules = [
        services(
            "audit",
            types=["LoadBalancer", "NodePort"],
            loadBalancers={"cidrs": ["10.0.0.0/16"]},
            nodePorts={"ports": [{"from": 30000, "to": 30100}]},
        )
    ]
    team_ = await team(world, {"rules": rules})
    await create(team_, type="LoadBalancer")
    await create(team_, type="NodePort")

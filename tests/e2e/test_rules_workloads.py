"""Rules about Pods: registries, QoS classes, schedulers, resources (RL-7 to RL-12, E-5, E-6, E-11)."""

from __future__ import annotations

from typing import Any

from tenantry.testing.plain import Json, Team, pod, refused, team, told
from tenantry.testing.world import World

AUDIT = "NamespaceRuleAudit"
SIDE = {"name": "side", "image": "quay.io/acme/side:1", "resources": {}}


def workloads(action: str, **parts: Any) -> Json:
    """Return a rule about workloads."""
    return {"enforce": {"action": action, "workloads": parts}}


async def create(team_: Team, **parts: Any) -> Json:
    """Dry-run a Pod."""
    return await team_.owner.create(pod(team_.namespace, "web", **parts), dry_run=True)


async def test_registries(world: World) -> None:
    """RL-8, E-5: full references, every place that names an image, the last match, the pull policy."""
    rules = [
        workloads("allow", registries=[{"exp": "^quay\\.io/.*", "policy": ["Never"]}, {"exp": "^harbor/.*"}]),
        workloads("deny", registries=[{"exact": ["harbor/bad:1"], "exp": "/evil/"}]),
        workloads("audit", registries=[{"exp": "harbor/.*"}]),
        workloads("allow", targets=["pod/initcontainers"], registries=[{"exact": ["busybox"]}]),
    ]
    team_ = await team(world, {"rules": rules})
    never, always = {"imagePullPolicy": "Never"}, {"imagePullPolicy": "IfNotPresent"}

    await create(team_, container=never)
    await create(team_, image="harbor/web:1", initContainers=[SIDE | {"image": "busybox"}])
    missed = "is not allowed by namespace rule"
    cases: list[tuple[Json, tuple[str, ...]]] = [
        (
            {"image": "docker.io/nginx:1"},
            (
                'registry "docker.io/nginx:1" at containers[0]',
                missed,
                "Allowed registries",
                "exp: ^quay\\.io/.*",
                "exp: ^harbor/.*",
            ),
        ),
        ({"image": "busybox"}, ('registry "busybox" at containers[0]', missed)),
        (
            {"image": "harbor/bad:1"},
            (
                'registry "harbor/bad:1" at containers[0] is denied by namespace rule',
                "exact: harbor/bad:1; exp: /evil/",
            ),
        ),
        (
            {"image": "harbor/a:1", "initContainers": [SIDE | {"image": "gcr.io/x"}]},
            ('registry "gcr.io/x" at initContainers[0]', missed),
        ),
        (
            {"image": "harbor/a:1", "volumes": [{"name": "models", "image": {"reference": "gcr.io/m"}}]},
            ('registry "gcr.io/m" at volumes[0](models)', missed),
        ),
        ({"container": always}, ("containers[0]", "pullPolicy=IfNotPresent", "allowed: Never")),
    ]
    for parts, facts in cases:
        await refused(create(team_, **parts), *facts)

    running = pod(team_.namespace, "running", image="harbor/web:1")
    await team_.owner.create(running)
    await told(
        world,
        team_.namespace,
        AUDIT,
        'registry "harbor/web:1" at containers[0] matched audit registry rule',
        "harbor/.*",
    )
    ephemeral = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "gcr.io/debug"}]}}
    await refused(
        team_.admin.patch(running, ephemeral, "strategic", "ephemeralcontainers"),
        'registry "gcr.io/debug" at ephemeralContainers[0]',
        missed,
    )
    # Refused requests have their audits told as well.
    await refused(team_.owner.create(pod(team_.namespace, "audited", image="harbor/evil/web")), "denied")
    event = await told(world, team_.namespace, AUDIT, "harbor/evil/web")
    regarding = event["regarding"]
    assert (regarding["kind"], regarding["name"], regarding["namespace"]) == ("Pod", "audited", team_.namespace)
    assert event["related"]["name"] == team_.tenant
    assert event["reportingController"] == "controller.projectcapsule.dev"


async def test_qos_classes_and_schedulers(world: World) -> None:
    """RL-9, RL-10, E-6: the class is worked out as Kubernetes does; an empty scheduler name is not judged."""
    rules = [
        workloads("allow", qosClasses=["Guaranteed", "Burstable"]),
        workloads("deny", qosClasses=["Burstable"]),
        workloads("audit", qosClasses=["BestEffort"]),
        workloads("allow", schedulers=[{"exact": ["default-scheduler", "gpu"]}]),
        workloads("deny", schedulers=[{"exp": "^gpu$"}]),
        workloads("audit", schedulers=[{"exact": ["volcano"]}]),
    ]
    team_ = await team(world, {"rules": rules})
    both = {"cpu": "100m", "memory": "64Mi"}
    guaranteed = {"container": {"resources": {"requests": both, "limits": both}}}

    await create(team_, **guaranteed)
    await create(team_, resources={"requests": both, "limits": both})
    await refused(
        create(team_),
        'QoS class "BestEffort" at status.qosClass is not allowed by namespace rule',
        "Allowed QoS classes: Guaranteed, Burstable",
    )
    burstable = {"container": {"resources": {"requests": both}}}
    await refused(create(team_, **burstable), 'QoS class "Burstable" at status.qosClass is denied by namespace rule')
    await refused(create(team_, **guaranteed, initContainers=[SIDE]), '"Burstable"')
    await refused(
        create(team_, **guaranteed, schedulerName="volcano"),
        'scheduler "volcano" at spec.schedulerName is not allowed by namespace rule',
        "Allowed schedulers: exact: default-scheduler, gpu",
    )
    await refused(
        create(team_, **guaranteed, schedulerName="gpu"),
        'scheduler "gpu" at spec.schedulerName is denied by namespace rule',
        "exp: ^gpu$",
    )

    await refused(team_.owner.create(pod(team_.namespace, "best", schedulerName="volcano")), "QoS")
    await told(world, team_.namespace, AUDIT, 'QoS class "BestEffort" at status.qosClass matched audit namespace rule')
    await told(world, team_.namespace, AUDIT, 'scheduler "volcano" at spec.schedulerName matched audit namespace rule')


async def test_resources_are_defaulted_removed_and_matched(world: World) -> None:
    """RL-11, RL-12, E-11: what a new Pod is made to ask for, with the user's own quantities kept."""
    rules = [
        workloads(
            "allow",
            targets=["pod/containers", "pod/initcontainers"],
            resources={
                "requests": {
                    "cpu": {"policy": "Default", "value": "250m"},
                    "memory": {"policy": "Default", "value": "512Mi"},
                },
                "limits": {
                    "cpu": {"policy": "Remove"},
                    "memory": {"policy": "Ratio", "value": "1.5"},
                    "ephemeral-storage": {"policy": "Default", "value": "16Gi"},
                },
            },
        ),
    ]
    team_ = await team(world, {"rules": rules})

    made = await create(team_, initContainers=[SIDE])
    # The API server takes a limit for the request that is missing, also for limits that we put in.
    wanted = {
        "requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "16Gi"},
        "limits": {"memory": "768Mi", "ephemeral-storage": "16Gi"},
    }
    assert [each["resources"] for each in (made["spec"]["containers"][0], made["spec"]["initContainers"][0])] == [
        wanted
    ] * 2
    assert "resources" not in made["spec"]

    own = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1200Mi"}}
    made = await create(team_, container={"resources": own})
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "16Gi"},
        "limits": {"memory": "1200Mi", "ephemeral-storage": "16Gi"},
    }


async def test_a_limit_beyond_its_ratio_is_refused(world: World) -> None:
    """E-11: by creation and by resize; the ceiling is named as Go prints it."""
    limits = {"memory": {"policy": "Ratio", "value": "1.5"}}
    team_ = await team(world, {"rules": [workloads("allow", targets=["pod/containers"], resources={"limits": limits})]})

    too_much = {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    await refused(
        create(team_, container={"resources": too_much}),
        "memory",
        "2Gi",
        "violates policy Ratio",
        "must not exceed 1536Mi",
        "does not satisfy any allowed resource policy",
    )
    await refused(create(team_), "memory", "requires a request greater than zero")
    made = await create(team_, container={"resources": {"requests": {"memory": "1Gi"}}})
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1536Mi"}
    made = await create(team_, container={"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1536Mi"}}})
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1536Mi"}

    running = pod(
        team_.namespace,
        "running",
        schedulerName="nobody",  # On a fake node no resize would get as far as admission.
        container={"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}},
    )
    await team_.owner.create(running)
    resize = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "2Gi"}}}]}}
    await refused(team_.admin.patch(running, resize, "strategic", "resize"), "must not exceed 1536Mi")


async def test_denied_and_audited_resource_policies(world: World) -> None:
    """14.3: deny says which policy is violated, audit tells the same as an event."""
    limits = {"memory": {"policy": "Ratio", "value": "1.5"}}
    too_much = {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    team_ = await team(world, {"rules": [workloads("deny", resources={"limits": limits})]})
    await refused(
        create(team_, container={"resources": too_much}),
        "memory",
        "2Gi",
        "violates policy Ratio",
        "must not exceed 1536Mi",
    )

    await world.edit_tenant(team_.tenant, {"rules": [workloads("audit", resources={"limits": limits})]})
    await team_.owner.create(pod(team_.namespace, "audited", container={"resources": too_much}))
    await told(
        world,
        team_.namespace,
        AUDIT,
        "workload resource limit",
        "memory",
        "violates policy Ratio",
        "must not exceed 1536Mi",
    )
    made = await team_.owner.get(pod(team_.namespace, "audited"))
    assert made["spec"]["containers"][0]["resources"] == too_much


async def test_later_blocks_preserve_or_default_what_earlier_ones_constrain(world: World) -> None:
    """E-11: Preserve and Default clear an earlier constraint; MatchRequest makes the limit the request."""
    match = {"limits": {"memory": {"policy": "MatchRequest"}, "cpu": {"policy": "Remove"}}}
    later = {"limits": {"cpu": {"policy": "Preserve"}}}
    team_ = await team(world, {"rules": [workloads("allow", resources=match), workloads("allow", resources=later)]})
    given = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    made = await create(team_, container={"resources": given})
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    }

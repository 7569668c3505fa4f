"""What the caches know, by the questions that decisions ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.admission.knowledge import Question, Topic, Unanswered
from tenantry.tenancy.request import Requester, Role
from tenantry.tenancy.rules.ruleset import EMPTY_RULES
from tenantry.tenancy.views import ClassKind

RULE = {"enforce": {"action": "allow", "workloads": {"registries": [{"exp": "^good/"}]}}}
SOLAR_OWNER = Requester(username="solar-owner", groups=frozenset({"projectcapsule.dev"}))


def owned(world: Any, name: str) -> list[str]:
    return [view.tenant.metadata.name for view in world.state.owned_by(Requester(username=name))]


def test_what_is_not_in_memory_is_unanswered(world: Any) -> None:
    """It may be too new for the cache: only the API server can say that it does not exist."""
    asked = []
    questions: list[Callable[[], object]] = [
        lambda: world.state.tenant("new"),
        lambda: world.state.namespace("new-dev"),
        lambda: world.state.lookups.cluster_class(ClassKind.STORAGE, "fast"),
        lambda: world.state.lookups.cluster_classes(ClassKind.GATEWAY),
        lambda: world.state.lookups.volume_labels("pv-1"),
        lambda: world.state.lookups.ingresses_using("a.example", "/"),
    ]
    for ask in questions:
        with pytest.raises(Unanswered) as lack:
            ask()
        asked.append(lack.value.question)

    assert asked == [
        Question(Topic.TENANT, "new"),
        Question(Topic.NAMESPACE, "new-dev"),
        Question(Topic.CLASS, "fast", "StorageClass"),
        Question(Topic.CLASSES, "", "GatewayClass"),
        Question(Topic.VOLUME, "pv-1"),
        Question(Topic.INGRESSES),
    ]
    assert sorted(world.catalog.caches()) == ["gatewayclasses", "ingresses", "persistentvolumes", "storageclasses"]


def test_owners_follow_tenants_owners_accounts_and_administrators(world: Any) -> None:
    world.tenant("wind", permissions={"matchOwners": [{"matchLabels": {"team": "wind"}}]})
    world.namespace("wind-dev", "wind")
    before = (owned(world, "solar-owner"), owned(world, "wind-owner"), owned(world, "carl"), owned(world, "ada"))

    world.tenant_owner("carl", labels={"projectcapsule.dev/tenant": "solar"})
    world.tenant_owner("dora", labels={"team": "wind"})
    world.promoted("solar-dev", "bot")
    world.tenant("wind", generation=2, owners=[{"kind": "User", "name": "wilma"}])

    assert before == (["solar"], ["wind"], [], ["solar", "wind"])
    bot = "system:serviceaccount:solar-dev:bot"
    assert {name: owned(world, name) for name in ("carl", "dora", bot, "wind-owner", "wilma", "solar-owner")} == {
        "carl": ["solar"],
        "dora": [],
        bot: ["solar"],
        "wind-owner": [],
        "wilma": ["wind"],
        "solar-owner": ["solar"],
    }


def test_roles_follow_configuration_and_homes(world: Any) -> None:
    account = Requester(username="system:serviceaccount:solar-dev:app")
    stranger = Requester(username="stranger", groups=frozenset({"others"}))

    def roles() -> list[Role]:
        return [world.state.role(one) for one in (SOLAR_OWNER, account, stranger, Requester(username="ada"))]

    before = roles()
    world.configuration(users=[{"kind": "Group", "name": "others"}])

    assert before == [Role.CAPSULE_USER, Role.CAPSULE_USER, Role.UNKNOWN, Role.ADMINISTRATOR]
    assert roles() == [Role.UNKNOWN, Role.CAPSULE_USER, Role.CAPSULE_USER, Role.UNKNOWN]


def test_rules_are_compiled_once_and_shared(world: Any) -> None:
    """A write of the Tenant's status, or of a namespace's annotation, compiles nothing again."""
    empty = world.state.rules(world.state.tenant("solar"), world.state.namespace("solar-dev"))
    world.tenant("solar", generation=2, rules=[RULE])
    world.namespace("solar-prod", "solar")

    def rules(name: str) -> Any:
        return world.state.rules(world.state.tenant("solar"), world.state.namespace(name))

    first = rules("solar-dev")
    world.tenant("solar", generation=2, rules=[RULE], status={"size": 2})
    world.namespace("solar-dev", "solar", note="x")

    assert empty is EMPTY_RULES
    assert len(first.blocks) == 1
    assert rules("solar-dev") is first
    assert rules("solar-prod") is first
    world.tenant("solar", generation=3, rules=[RULE, RULE])
    assert len(rules("solar-dev").blocks) == 2


def test_a_namespace_is_at_home_where_its_valid_reference_says(world: Any) -> None:
    world.tenant("wind")
    world.namespace("mixed", "solar", **{"capsule.clastix.io/tenant": "wind"})

    homes = [world.state.home_tenant(name) for name in ("solar-dev", "mixed", "unknown")]

    assert homes == ["solar", "solar", None]

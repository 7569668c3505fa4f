"""From the Tenant to the rules of a namespace: selection, templates, and what happens when one is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tenantry.api.meta import ObjectMeta
from tenantry.api.rules import Enforce, NamespaceRule
from tenantry.api.tenant import Tenant
from tenantry.foundation.codec import from_plain, to_plain
from tenantry.foundation.templates import TemplateError
from tenantry.tenancy.request import Request, Role
from tenantry.tenancy.rules import ingress, metadata, qos, registries, resources, schedulers, services
from tenantry.tenancy.rules.effective import compiled, effective_rules, projected_rules
from tenantry.tenancy.rules.projection import projection_key
from tenantry.tenancy.rules.ruleset import EMPTY_RULES, Family
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
MakeTenant = Callable[..., Tenant]
Said = Callable[..., Verdict]

DEV = ObjectMeta(name="oil-dev", labels={"env": "dev"}, annotations={"pattern": ".*"})


def images(action: str | None, exp: str, **more: Any) -> dict[str, Any]:
    enforce: dict[str, Any] = {"workloads": {"registries": [{"exp": exp}]}}
    return {"enforce": enforce | ({"action": action} if action else {}), **more}


def test_blocks_are_those_that_enforce_and_select_in_the_tenants_order(tenant: MakeTenant) -> None:
    rules = tenant(
        images(None, "a"),
        {"quota": [{"name": "q", "hard": {"cpu": 1}}]},
        images("allow", "b", namespaceSelector={"matchLabels": {"env": "prod"}}),
        images(
            "audit", "c", namespaceSelector={"matchLabels": {"env": "dev"}}, audience=[{"kind": "User", "name": "x"}]
        ),
        images("allow", "d", quota=[{"name": "r"}], permissions={"bindings": []}),
    )
    assert [
        to_plain(block) | {"action": block.enforce.action} for block in projected_rules(rules, DEV) if block.enforce
    ] == [
        {"action": "deny", "enforce": {"workloads": {"registries": [{"exp": "a"}]}}},
        {
            "action": "audit",
            "audience": [{"kind": "User", "name": "x"}],
            "enforce": {"action": "audit", "workloads": {"registries": [{"exp": "c"}]}},
        },
        {"action": "allow", "enforce": {"action": "allow", "workloads": {"registries": [{"exp": "d"}]}}},
    ]


def test_an_action_that_is_empty_is_filled_in(tenant: MakeTenant) -> None:
    blocks = projected_rules(tenant({"enforce": {"action": "", "metadata": [{"kinds": ["Pod"]}]}}), DEV)
    assert [block.enforce.action for block in blocks if block.enforce] == ["deny"]


def test_templates_know_tenant_and_namespace(tenant: MakeTenant) -> None:
    labels = {"{{ .tenant.name }}/team": {"managed": "{{namespace}}-{{ .tenant.spec.data.team }}-{{tenant.data.size}}"}}
    owner = tenant(
        {
            "audience": [{"kind": "Group", "name": "{{tenant.metadata.name}}-admins"}],
            "enforce": {"metadata": [{"kinds": ["Pod"], "labels": labels}]},
        },
        data={"team": "drill", "size": 3},
    )
    expected = {
        "audience": [{"kind": "Group", "name": "oil-admins"}],
        "enforce": {"metadata": [{"kinds": ["Pod"], "labels": {"oil/team": {"managed": "oil-dev-drill-3"}}}]},
    }
    assert projected_rules(owner, DEV) == (from_plain(expected, NamespaceRule),)


def test_what_a_namespace_says_is_no_pattern(tenant: MakeTenant) -> None:
    """Its owner writes labels and annotations; what the tenant's data says is the platform's own."""
    owner = tenant(
        images("allow", "^{{ .tenant.data.any }}{{ .namespace.metadata.annotations.pattern }}$"), data={"any": ".+"}
    )
    assert projected_rules(owner, DEV) == (from_plain(images("allow", "^.+\\.\\*$"), NamespaceRule),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ .tenant.data.missing }}", "{{tenant.data.missing}} has no value: there is no 'missing'"),
        ("{{ .nobody.name }}", "{{nobody.name}} has no value: there is no 'nobody'"),
        ("{{ if }}x", None),
        ("{{ .tenant.name", None),
        ("{{ .tenant.spec.rules }}", "{{tenant.spec.rules}} has no value: there is no 'rules'"),
    ],
)
def test_what_cannot_be_rendered_is_an_error_that_names_the_rule(
    tenant: MakeTenant, text: str, problem: str | None
) -> None:
    with pytest.raises(TemplateError, match=r"^spec\.rules\[1\]: ") as caught:
        projected_rules(tenant(images("deny", "a"), images("deny", text), data={}), DEV)
    assert problem is None or str(caught.value) == f"spec.rules[1]: {problem}"


class TestFailingClosed:
    """A rule that can't be enforced refuses what it may concern, and nothing else."""

    BROKEN = images("deny", "{{ .tenant.data.missing }}")
    PROBLEM = "spec.rules[0] of Tenant oil: {{tenant.data.missing}} has no value: there is no 'missing'"
    POD: ClassVar[dict[str, Any]] = {"spec": {"containers": [{"image": "a"}], "schedulerName": "b"}}

    def test_its_family_refuses(self, ask: Ask, context: Make, refused: Said) -> None:
        broken = context(self.BROKEN, data={})
        assert broken.rules.problem == self.PROBLEM
        assert registries.check(ask("Pod", self.POD), broken) == refused(
            "AdmissionFailed",
            "the namespace rules about registries can't be enforced, so nothing they may concern is admitted: "
            f"{self.PROBLEM}. Please, reach out to the system administrators",
        )

    def test_other_families_and_our_own_account_go_on(self, ask: Ask, context: Make) -> None:
        broken = context(self.BROKEN, data={})
        assert schedulers.check(ask("Pod", self.POD), broken) == ALLOWED
        assert registries.check(ask("Pod", self.POD, old=self.POD), broken) == ALLOWED
        assert registries.check(ask("Pod", self.POD), context(self.BROKEN, data={}, role=Role.CONTROLLER)) == ALLOWED

    def test_other_blocks_stay_in_force(self, ask: Ask, context: Make) -> None:
        rules = context(self.BROKEN, {"enforce": {"workloads": {"schedulers": [{"exact": ["b"]}]}}}, data={})
        assert schedulers.check(ask("Pod", self.POD), rules).denial is not None

    def test_an_audience_that_cannot_be_rendered_is_everybody(self, ask: Ask, context: Make) -> None:
        block = images("deny", "x", audience=[{"kind": "User", "name": "{{ .tenant.data.missing }}"}])
        assert registries.check(ask("Pod", self.POD), context(block, data={})).denial is not None

    def test_a_problem_is_its_audiences_alone(self, ask: Ask, context: Make) -> None:
        block = images("deny", "(", audience=[{"kind": "User", "name": "bob"}])
        assert registries.check(ask("Pod", self.POD), context(block)) == ALLOWED

    @pytest.mark.parametrize(
        ("enforce", "family"),
        [
            ({"workloads": {"registries": [{"exp": "("}]}}, Family.REGISTRIES),
            ({"workloads": {"registries": [{"exact": ["a"]}], "targets": ["pod/nothing"]}}, Family.REGISTRIES),
            ({"workloads": {"schedulers": [{"exp": "("}]}}, Family.SCHEDULERS),
            ({"action": "shrug", "workloads": {"qosClasses": ["Burstable"]}}, Family.QOS_CLASSES),
            ({"workloads": {"resources": {"limits": {"cpu": {"policy": "Ratio", "value": "x"}}}}}, Family.RESOURCES),
            ({"workloads": {"resources": {"requests": {"cpu": {"policy": "Double"}}}}}, Family.RESOURCES),
            ({"services": {"loadBalancers": {"cidrs": ["10.0.0.0"]}}}, Family.SERVICES),
            ({"services": {"externalNames": {"hostnames": [{"exp": "("}]}}}, Family.SERVICES),
            ({"ingress": {"types": ["Ingress"], "hostnames": [{"exp": "("}]}}, Family.INGRESS),
            ({"ingress": {"types": ["Egress"], "hostnames": [{"exp": "a"}]}}, Family.INGRESS),
            ({"metadata": [{"kinds": ["*"], "labels": {"(": {}}}]}, Family.METADATA),
        ],
    )
    def test_what_does_not_compile_is_a_problem_of_its_family(
        self, ask: Ask, context: Make, enforce: dict[str, Any], family: Family
    ) -> None:
        broken = context({"enforce": enforce})
        assert set(broken.rules.problems) == {family}
        pod = {"spec": {**self.POD["spec"], "resources": {}}, "metadata": {"labels": {"a": "b"}}}
        asked = [
            registries.check(ask("Pod", pod), broken),
            schedulers.check(ask("Pod", pod), broken),
            qos.check(ask("Pod", pod), broken),
            resources.check(ask("Pod", pod), broken),
            metadata.check(ask("Pod", pod), broken),
            services.check(ask("Service", {"spec": {"type": "LoadBalancer"}}), broken),
            ingress.check(ask("Ingress", {"spec": {}}), broken),
        ]
        assert sorted(verdict.denial.reason for verdict in asked if verdict.denial) == ["AdmissionFailed"]
        assert resources.mutate(ask("Pod", pod), broken) == UNCHANGED


def test_without_rules_there_is_one_empty_rule_set(tenant: MakeTenant) -> None:
    assert effective_rules(tenant(), DEV) is EMPTY_RULES
    other = images("deny", "a", namespaceSelector={"matchLabels": {"env": "prod"}})
    assert effective_rules(tenant(other), DEV) is EMPTY_RULES


def test_compiled_blocks_are_the_effective_rules(tenant: MakeTenant) -> None:
    owner = tenant(images("deny", "a"), images("allow", "b"))
    assert compiled(projected_rules(owner, DEV)) == effective_rules(owner, DEV)
    assert compiled((NamespaceRule(enforce=Enforce()),)).is_empty


def test_namespaces_share_a_key_where_they_share_rules(tenant: MakeTenant) -> None:
    selecting = images("deny", "a", namespaceSelector={"matchLabels": {"env": "dev"}})
    one, other = ObjectMeta(name="a", labels={"env": "dev"}), ObjectMeta(name="b", labels={"env": "dev", "x": "y"})
    apart = ObjectMeta(name="c")
    plain = tenant(selecting, images("deny", "b"))
    assert projection_key(plain, one) == projection_key(plain, other) != projection_key(plain, apart)
    rendered = tenant(images("deny", "{{namespace}}"))
    assert projection_key(rendered, one) != projection_key(rendered, other)

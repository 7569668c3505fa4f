"""Labels and annotations: what is required, allowed, filled in, and of which kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AdditionalMetadata
from tenantry.tenancy.request import Request, Role
from tenantry.tenancy.rules.metadata import (
    ManagedKind,
    NamespaceMetadata,
    check,
    check_namespace,
    managed_kinds,
    managed_metadata_of_kind,
    mutate,
    namespace_metadata,
)
from tenantry.tenancy.verdict import ALLOWED, UNCHANGED, Mutation, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]

FORBIDDEN = "ForbiddenMetadata"
PROD = {"values": [{"exact": ["prod", "dev"]}]}


def rule(action: str, *, kinds: tuple[str, ...] = ("*",), groups: tuple[str, ...] = (), **maps: Any) -> dict[str, Any]:
    return {"enforce": {"action": action, "metadata": [{"kinds": kinds, "apiGroups": groups, **maps}]}}


def obj(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "it", "labels": labels, "annotations": annotations}}


@pytest.mark.parametrize(
    ("rules", "labels", "message"),
    [
        pytest.param([rule("allow", labels={"env": PROD})], {"env": "prod"}, None, id="on-the-list"),
        pytest.param(
            [rule("allow", labels={"env": PROD})],
            {"env": "test"},
            'metadata "test" at metadata.labels[env] is not allowed by namespace rule. '
            "Allowed values: exact: prod, dev",
            id="not-on-the-list",
        ),
        pytest.param([rule("allow", labels={"env": PROD})], {"team": "test"}, None, id="other-keys-are-free"),
        pytest.param([rule("allow", labels={"env": PROD})], {}, None, id="nothing-is-required-unasked"),
        pytest.param([rule("allow", labels={"env": PROD})], {"env": ""}, None, id="an-empty-value-says-nothing"),
        pytest.param(
            [rule("allow", labels={"env": {**PROD, "required": True}})],
            {"env": ""},
            'metadata "" at metadata.labels[env] is not allowed by namespace rule. Allowed values: exact: prod, dev',
            id="an-empty-value-is-no-required-one",
        ),
        pytest.param(
            [rule("allow", labels={"env": {"required": True}})],
            {},
            'metadata "env" at metadata.labels is required by namespace rule',
            id="required",
        ),
        pytest.param([rule("allow", labels={"env": {"required": True}})], {"env": ""}, None, id="required-and-there"),
        pytest.param([rule("deny", labels={"env": {"required": True}})], {}, None, id="required-means-nothing-in-deny"),
        pytest.param(
            [rule("deny", labels={"env": {"required": True}})],
            {"env": "x"},
            None,
            id="required-in-deny-forbids-nothing",
        ),
        pytest.param(
            [rule("deny", labels={"env": PROD})],
            {"env": "prod"},
            'metadata "prod" at metadata.labels[env] is denied by namespace rule: exact: prod, dev',
            id="denied",
        ),
        pytest.param(
            [rule("deny", labels={"env": {"values": [{"exact": ["prod"], "negate": True}]}})],
            {"env": "dev"},
            'metadata "dev" at metadata.labels[env] is denied by namespace rule: not exact: prod',
            id="denied-unless",
        ),
        pytest.param(
            [rule("deny", labels={"secret": {}})],
            {"secret": ""},
            'metadata "" at metadata.labels[secret] is denied by namespace rule: any value',
            id="an-empty-policy-denies-the-key",
        ),
        pytest.param(
            [rule("deny", labels={"env": PROD}), rule("allow", labels={"e*": {"values": [{"exp": "^p"}]}})],
            {"env": "prod"},
            None,
            id="last-wins",
        ),
        pytest.param(
            [rule("allow", labels={"example.com/*": {"required": True}})],
            {"env": "prod"},
            'metadata "example.com/*" at metadata.labels is required by namespace rule',
            id="any-key-of-a-glob-is-required",
        ),
        pytest.param(
            [rule("allow", labels={"example.com/*": {"required": True}})],
            {"example.com/a": "b"},
            None,
            id="one-is-there",
        ),
        pytest.param(
            [rule("deny", labels={"^(env|team)$": {"values": [{"exp": "."}]}})],
            {"team": "a"},
            'metadata "a" at metadata.labels[team] is denied by namespace rule: exp: .',
            id="keys-by-expression",
        ),
        pytest.param([rule("deny", labels={"*": {}})], {"projectcapsule.dev/tenant": "oil"}, None, id="product-keys"),
        pytest.param([rule("deny", labels={".*": {}})], {"a.capsule.clastix.io/b": "c"}, None, id="product-subdomains"),
        pytest.param(
            [rule("deny", labels={"projectcapsule.dev/promote": {}})],
            {"projectcapsule.dev/promote": "x"},
            'metadata "x" at metadata.labels[projectcapsule.dev/promote] is denied by namespace rule: any value',
            id="product-keys-by-name",
        ),
        pytest.param(
            [rule("deny", labels={"*": {}})], {"projectcapsule.dev/managed-by": "controller", "a": "b"}, None, id="ours"
        ),
        pytest.param(
            [rule("deny", labels={"*": {}})],
            {"projectcapsule.dev/managed-by": "resources", "a": "b"},
            None,
            id="copies",
        ),
        pytest.param(
            [rule("deny", labels={"*": {}})],
            {"projectcapsule.dev/managed-by": "Controller", "a": "b"},
            'metadata "b" at metadata.labels[a] is denied by namespace rule: any value',
            id="ours-by-case",
        ),
    ],
)
def test_labels(
    ask: Ask, context: Make, refused: Said, rules: list[Any], labels: dict[str, str], message: str | None
) -> None:
    expected = ALLOWED if message is None else refused(FORBIDDEN, message)
    assert check(ask("ConfigMap", obj(labels)), context(*rules)) == expected


def test_annotations_and_audits(ask: Ask, context: Make, refused: Said, audited: Said) -> None:
    required = context(rule("allow", annotations={"owner": {"required": True}}))
    text = 'metadata "owner" at metadata.annotations is required by namespace rule'
    assert check(ask("Secret", obj()), required) == refused(FORBIDDEN, text)
    told = 'metadata "b" at metadata.annotations[a] matched audit namespace rule: exp: b'
    watched = context(rule("audit", annotations={"a": {"values": [{"exp": "b"}], "required": True}}))
    assert check(ask("Secret", obj(annotations={"a": "b"})), watched) == audited(told)
    assert check(ask("Secret", obj()), watched) == ALLOWED


@pytest.mark.parametrize(
    ("kinds", "groups", "kind", "group", "is_ruled"),
    [
        (("ConfigMap",), (), "ConfigMap", "", True),
        (("ConfigMap",), (), "Secret", "", False),
        (("Conf*",), (), "ConfigMap", "", True),
        (("*",), (), "Deployment", "apps", False),
        (("*",), ("apps",), "Deployment", "apps", True),
        (("Deployment",), ("apps/v1",), "Deployment", "apps", True),
        (("Deployment",), ("batch", "apps/v1"), "Deployment", "apps", True),
        (("*",), ("*",), "Deployment", "apps", True),
        (("*",), ("v1",), "ConfigMap", "", True),
        (("*",), ("v1",), "Deployment", "apps", False),
        (("*",), ("*",), "Event", "events.k8s.io", False),
        (("Event",), (), "Event", "", False),
        (("configmap",), (), "ConfigMap", "", False),
    ],
)
def test_kinds(
    ask: Ask, context: Make, kinds: tuple[str, ...], groups: tuple[str, ...], kind: str, group: str, *, is_ruled: bool
) -> None:
    verdict = check(
        ask(kind, obj({"a": "b"}), group=group), context(rule("deny", kinds=kinds, groups=groups, labels={"a": {}}))
    )
    assert (verdict.denial is not None) is is_ruled


def test_a_version_is_no_way_around(ask: Ask, context: Make) -> None:
    """The same object can be written in any version of its group."""
    request = ask("Deployment", obj({"a": "b"}))
    rules = context(rule("deny", kinds=("Deployment",), groups=("apps/v1beta1",), labels={"a": {}}))
    assert check(request, rules).denial is not None


def test_updates_are_judged_where_they_change_labels_or_annotations(ask: Ask, context: Make) -> None:
    rules, stored = context(rule("allow", labels={"env": {"required": True}})), obj({"a": "b"})
    assert check(ask("ConfigMap", {**stored, "data": {"x": "y"}}, old=stored), rules) == ALLOWED
    assert check(ask("ConfigMap", obj({"a": "c"}), old=stored), rules).denial is not None
    assert check(ask("ConfigMap", obj({"a": "c"}), old=stored, subresource="status"), rules) == ALLOWED
    assert check(ask("ConfigMap", None, old=stored), rules) == ALLOWED


class TestMutation:
    """What rules put on objects."""

    RULES = (
        rule("deny", kinds=("ConfigMap",), labels={"team": {"managed": "oil"}, "env": {"default": "dev"}}),
        rule("deny", kinds=("ConfigMap", "Secret"), annotations={"owner": {"managed": "alice", "default": "no"}}),
        rule("audit", kinds=("ConfigMap",), labels={"capsule.clastix.io/tenant": {"managed": "gas"}}),
    )

    def test_managed_overwrites_and_default_fills(self, ask: Ask, context: Make) -> None:
        rules = context(*self.RULES)
        own = ask("ConfigMap", obj({"team": "gas", "env": "prod"}, {"owner": "bob"}))
        assert [mutate(ask("ConfigMap", obj()), rules), mutate(own, rules), mutate(ask("Secret", obj()), rules)] == [
            Mutation(labels={"env": "dev", "team": "oil"}, annotations={"owner": "alice"}),
            Mutation(labels={"team": "oil"}, annotations={"owner": "alice"}),
            Mutation(annotations={"owner": "alice"}),
        ]

    def test_what_it_put_there_is_left_alone_and_passes(self, ask: Ask, context: Make) -> None:
        rules, after = context(*self.RULES), obj({"team": "oil", "env": "dev"}, {"owner": "alice"})
        assert mutate(ask("ConfigMap", after), rules) == Mutation()
        assert check(ask("ConfigMap", after), rules) == ALLOWED

    def test_what_is_ours_or_no_whole_object_is_left_alone(self, ask: Ask, context: Make) -> None:
        rules = context(*self.RULES)
        ours = obj({"projectcapsule.dev/managed-by": "controller"})
        assert mutate(ask("ConfigMap", ours), rules) == UNCHANGED
        assert mutate(ask("ConfigMap", obj(), old=obj(), subresource="status"), rules) == UNCHANGED
        assert mutate(ask("ConfigMap", None, old=obj()), rules) == UNCHANGED
        assert mutate(ask("ConfigMap", obj()), context(*self.RULES, role=Role.CONTROLLER)) == UNCHANGED

    def test_the_operator_is_told_what_binds_everybody(self, context: Make) -> None:
        named = {"audience": [{"kind": "User", "name": "bob"}]}
        rules = context(*self.RULES, {**rule("deny", kinds=("Pod",), labels={"a": {"managed": "b"}}), **named}).rules
        assert managed_kinds(rules) == (ManagedKind("", "v1", "ConfigMap"), ManagedKind("", "v1", "Secret"))
        assert managed_metadata_of_kind(rules, "", "v1", "ConfigMap") == AdditionalMetadata(
            labels={"team": "oil"}, annotations={"owner": "alice"}
        )
        assert managed_metadata_of_kind(rules, "", "v1", "Pod") == AdditionalMetadata()

    def test_managed_kinds_keep_the_groups_of_their_rule(self, context: Make) -> None:
        rules = context(rule("allow", kinds=("Job",), groups=("batch/v1", "*"), labels={"a": {"managed": "b"}})).rules
        assert managed_kinds(rules) == (ManagedKind("*", "", "Job"), ManagedKind("batch", "v1", "Job"))


class TestNamespaces:
    """A Namespace is ruled where it is named, never by a glob."""

    def test_only_by_name(self, context: Make, refused: Said) -> None:
        meta = ObjectMeta(name="oil-dev", labels={"env": "test"})
        globbed = context(rule("deny", labels={"env": {}}), rule("deny", kinds=("N*",), labels={"env": {}})).rules
        named = context(rule("allow", kinds=("Namespace",), labels={"env": PROD})).rules
        text = 'metadata "test" at metadata.labels[env] is not allowed by namespace rule. '
        assert check_namespace(meta, globbed) == ALLOWED
        assert check_namespace(meta, named) == refused(FORBIDDEN, text + "Allowed values: exact: prod, dev")
        assert check_namespace(meta, named, old=meta) == ALLOWED

    def test_its_metadata(self, context: Make) -> None:
        rules = context(
            rule("deny", kinds=("Namespace",), labels={"a": {"managed": "1"}, "b": {"default": "2"}}),
            rule("deny", kinds=("Namespace",), annotations={"c": {"managed": "3"}, "d": {"default": "4"}}),
            rule("deny", kinds=("Namespace",), labels={"a": {"managed": "5"}}),
        ).rules
        assert namespace_metadata(rules) == NamespaceMetadata(
            managed_labels={"a": "5"},
            managed_annotations={"c": "3"},
            default_labels={"b": "2"},
            default_annotations={"d": "4"},
        )


def test_an_empty_text_is_what_typed_clients_write_for_unset(ask: Ask, context: Make) -> None:
    """Not a value to put on objects; and a policy of nothing else forbids the key as an empty one does."""
    unset = {"required": False, "values": [], "default": "", "managed": ""}
    rules = context(rule("deny", labels={"env": unset}))
    assert mutate(ask("ConfigMap", obj()), rules) == UNCHANGED
    assert managed_kinds(rules.rules) == ()
    assert check(ask("ConfigMap", obj({"env": "x"})), rules) == check(
        ask("ConfigMap", obj({"env": "x"})), context(rule("deny", labels={"env": {}}))
    )

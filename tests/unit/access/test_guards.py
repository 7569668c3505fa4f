"""Principals that headers can not carry, or that are the cluster's or the gateway's own, are refused."""

from __future__ import annotations

import pytest

from tenantry.access.guards import GroupFilter, GuardRefusal, GuardRules, extra_problem, guarded, principal_problem
from tenantry.access.identity import Identity
from tenantry.foundation.expressions import ExpressionError

RULES = GuardRules(forwarded_extra=frozenset({"authentication.kubernetes.io/pod-name", "Bad Key", "tenantry.dev/x"}))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("alice", None),
        ("a,b c", None),
        ("Müller", None),
        ("x" * 512, None),
        ("x" * 513, "is longer than 512 bytes"),
        ("é" * 257, "is longer than 512 bytes"),
        ("", "is empty"),
        (" alice", "starts or ends with a blank"),
        ("alice ", "starts or ends with a blank"),
        ("a\tb", "has control characters"),
        ("a\r\nImpersonate-Group: system:masters", "has control characters"),
        ("a\0b", "has control characters"),
        ("a\x85b", "has control characters"),
        ("a\udcffb", "has control characters"),
    ],
)
def test_invariant_4_values_arrive_unchanged_or_not_at_all(name: str, problem: str | None) -> None:
    assert principal_problem(name) == problem


def test_r_010_groups_are_filtered_by_whole_names() -> None:
    groups = ("dev-a", "xdev-a", "dev-ab", "dev-secret", "ops", "dev-a")
    rules = GroupFilter(kept_pattern="dev-.*|ops", dropped=frozenset({"dev-ab"}), dropped_pattern="dev-secret|x")
    assert rules.kept(groups) == ("dev-a", "ops")
    assert GroupFilter(dropped_pattern="dev").kept(groups) == ("dev-a", "xdev-a", "dev-ab", "dev-secret", "ops")


@pytest.mark.parametrize("pattern", ["a)|(b", "(", "(?=a)", r"\Qab"])
def test_r_010_a_pattern_that_would_leave_its_anchors_is_refused(pattern: str) -> None:
    with pytest.raises(ExpressionError):
        GroupFilter(kept_pattern=pattern)


def test_invariant_8_extras_are_cut_to_the_allowed_ones() -> None:
    who = Identity(
        user="a",
        uid="u",
        extra=(("authentication.kubernetes.io/pod-name", ("p", "")), ("other", ("x",))),
    )
    assert guarded(who, RULES, is_external=True) == Identity(
        user="a", uid="u", extra=(("authentication.kubernetes.io/pod-name", ("p",)),)
    )


@pytest.mark.parametrize(
    ("identity", "token"),
    [
        (Identity(user=""), "Principal"),
        (Identity(user="a", groups=("b\n",)), "Principal"),
        (Identity(user="a", uid="b "), "Principal"),
        (Identity(user="tenantry:gateway:nodes:delete"), "ReservedName"),
        (Identity(user="a", groups=("tenantry:gateway:nodes:update",)), "ReservedName"),
        (Identity(user="a", extra=(("Bad Key", ("x",)),)), "Extra"),
        (Identity(user="a", extra=(("tenantry.dev/x", ("x",)),)), "Extra"),
    ],
)
def test_unusable_identities_are_refused_whoever_gave_them(identity: Identity, token: str) -> None:
    found = guarded(identity, RULES, is_external=False)
    assert isinstance(found, GuardRefusal)
    assert found.token == token


@pytest.mark.parametrize(
    "identity",
    [
        Identity(user="system:kube-controller-manager"),
        Identity(user="system:node:n1", groups=("system:nodes",)),
        Identity(user="system:serviceaccount:kube-system:x"),
        Identity(user="a", groups=("dev", "system:masters")),
    ],
)
def test_invariant_7_r_026_issuers_give_no_name_of_the_cluster(identity: Identity) -> None:
    refusal = guarded(identity, RULES, is_external=True)
    assert isinstance(refusal, GuardRefusal)
    assert refusal.token == "SystemName"
    assert guarded(identity, RULES, is_external=False) == identity


def test_invariant_7_the_allow_list_and_dropped_groups_make_exceptions() -> None:
    rules = GuardRules(
        groups=GroupFilter(dropped=frozenset({"system:masters"})), allowed_system_names=frozenset({"system:monitoring"})
    )
    who = Identity(user="a", groups=("system:masters", "system:monitoring", "dev"))
    assert guarded(who, rules, is_external=True) == Identity(user="a", groups=("system:monitoring", "dev"))


def test_invariant_8_extra_keys_have_few_characters() -> None:
    assert extra_problem("a.b/c_d-e", "v") is None
    assert extra_problem("A", "v") == "the extra 'A' has characters other than a-z 0-9 / - . _"
    assert extra_problem("tenantry.dev/original-user", "v") == (
        "the extra 'tenantry.dev/original-user' is reserved for the gateway"
    )
    assert extra_problem("a", "v\r") == "the value of the extra 'a' has control characters"

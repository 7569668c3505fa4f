"""Acting as somebody else: one review a principal, and exactly what was reviewed goes on."""

from __future__ import annotations

import pytest

from tenantry.access.guards import GroupFilter, GuardRules
from tenantry.access.identity import Identity
from tenantry.access.impersonation import (
    ImpersonationPlan,
    ImpersonationRefusal,
    ImpersonationRules,
    impersonation_plan,
    wants_impersonation,
)
from tenantry.access.reviews import (
    AccessReviewSpec,
    ResourceAttributes,
    SubjectAccessReviewSpec,
    effective_groups,
    review_of,
)

CALLER = Identity(user="root@example.com", groups=("ops",))
ORIGINAL = ("tenantry.dev/original-user", ("root@example.com",))
RULES = ImpersonationRules(is_enabled=True, guards=GuardRules(forwarded_extra=frozenset({"scopes", "acme.io/team"})))

Lines = tuple[tuple[str, str], ...]


def review(resource: str, name: str, **rest: str) -> ResourceAttributes:
    return ResourceAttributes(verb="impersonate", version="v1", resource=resource, name=name, **rest)  # type: ignore[arg-type]


def plan(lines: Lines, rules: ImpersonationRules = RULES) -> ImpersonationPlan:
    found = impersonation_plan(lines, CALLER, rules)
    assert isinstance(found, ImpersonationPlan), found
    return found


def test_invariant_5_every_principal_has_a_review_of_its_own() -> None:
    lines = (
        ("impersonate-user", "alice"),
        ("impersonate-group", "devs"),
        ("impersonate-group", "a,b"),
        ("impersonate-group", "devs"),
        ("impersonate-uid", "42"),
        ("impersonate-extra-scopes", "view"),
        ("impersonate-extra-scopes", "edit"),
        ("impersonate-extra-acme.io%2Fteam", "x"),
    )
    extra = {"group": "authentication.k8s.io"}
    assert plan(lines) == ImpersonationPlan(
        reviews=(
            review("users", "alice"),
            review("groups", "devs"),
            review("groups", "a,b"),
            review("userextras", "view", subresource="scopes", **extra),
            review("userextras", "edit", subresource="scopes", **extra),
            review("userextras", "x", subresource="acme.io/team", **extra),
            review("uids", "42", **extra),
        ),
        identity=Identity(
            user="alice",
            groups=("devs", "a,b"),
            uid="42",
            extra=(("acme.io/team", ("x",)), ("scopes", ("view", "edit")), ORIGINAL),
        ),
    )


def test_a_service_account_is_reviewed_as_one_and_has_its_groups() -> None:
    assert plan((("impersonate-user", "system:serviceaccount:flux:apps"),)) == ImpersonationPlan(
        reviews=(review("serviceaccounts", "apps", namespace="flux"),),
        identity=Identity(
            user="system:serviceaccount:flux:apps",
            groups=("system:serviceaccounts", "system:serviceaccounts:flux"),
            extra=(ORIGINAL,),
        ),
    )


def test_groups_that_are_sent_are_the_whole_truth() -> None:
    """They may name the account's own; those are reviewed like any other."""
    user = ("impersonate-user", "system:serviceaccount:flux:apps")
    own = ("impersonate-group", "system:serviceaccounts:flux")
    assert plan((user, own)) == ImpersonationPlan(
        reviews=(
            review("serviceaccounts", "apps", namespace="flux"),
            review("groups", "system:serviceaccounts:flux"),
        ),
        identity=Identity(user=user[1], groups=(own[1],), extra=(ORIGINAL,)),
    )


def test_r_010_a_dropped_group_is_neither_reviewed_nor_forwarded() -> None:
    rules = ImpersonationRules(
        is_enabled=True, guards=GuardRules(groups=GroupFilter(dropped=frozenset({"noise", "system:masters"})))
    )
    lines = (("impersonate-user", "alice"), ("impersonate-group", "noise"), ("impersonate-group", "system:masters"))
    assert plan(lines, rules) == ImpersonationPlan(
        reviews=(review("users", "alice"),), identity=Identity(user="alice", extra=(ORIGINAL,))
    )


@pytest.mark.parametrize(
    "trusting",
    [
        ImpersonationRules(is_enabled=True, trusted_users=frozenset({CALLER.user})),
        ImpersonationRules(is_enabled=True, trusted_groups=frozenset({"ops"})),
    ],
)
def test_r_022_trusted_callers_need_no_review_but_for_system_names(trusting: ImpersonationRules) -> None:
    alice = (
        ("impersonate-user", "alice"),
        ("impersonate-group", "devs"),
        ("impersonate-group", "system:authenticated"),
    )
    assert plan(alice, trusting).reviews == ()
    account = (("impersonate-user", "system:serviceaccount:n:a"), ("impersonate-group", "system:serviceaccounts"))
    assert plan(account, trusting).reviews == (
        review("serviceaccounts", "a", namespace="n"),
        review("groups", "system:serviceaccounts"),
    )
    refused = impersonation_plan((("impersonate-user", "system:admin"),), CALLER, trusting)
    assert isinstance(refused, ImpersonationRefusal)


def test_invariant_5_off_is_refused_and_not_ignored() -> None:
    assert impersonation_plan((("impersonate-user", "alice"),), CALLER, ImpersonationRules()) == ImpersonationRefusal(
        status=403,
        reason="Forbidden",
        token="ImpersonationDisabled",
        message="acting as somebody else is turned off in this gateway",
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((("impersonate-group", "devs"),), (400, "ImpersonationMalformed")),
        ((("impersonate-uid", "1"),), (400, "ImpersonationMalformed")),
        ((("impersonate-extra-scopes", "view"),), (400, "ImpersonationMalformed")),
        ((("impersonate-user", ""),), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a"), ("impersonate-user", "b")), (400, "ImpersonationMalformed")),
        (
            (("impersonate-user", "a"), ("impersonate-uid", "b"), ("impersonate-uid", "b")),
            (400, "ImpersonationMalformed"),
        ),
        ((("impersonate-user", "a"), ("impersonate-uid", "")), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a "),), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a"), ("impersonate-group", "x\n")), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a"), ("impersonate_group", "x")), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a"), ("impersonate-team", "x")), (400, "ImpersonationMalformed")),
        ((("impersonate-user", "a"), ("impersonate-extra-a%zz", "x")), (400, "ImpersonationMalformed")),
        (
            (("impersonate-user", "a"), ("impersonate-extra-tenantry.dev%2foriginal-user", "x")),
            (400, "ImpersonationMalformed"),
        ),
        ((("impersonate-user", "a"), ("impersonate-extra-other", "x")), (403, "Extra")),
        ((("impersonate-user", "system:kube-scheduler"),), (403, "SystemName")),
        ((("impersonate-user", "system:anonymous"),), (403, "SystemName")),
        ((("impersonate-user", "system:serviceaccount:a"),), (403, "SystemName")),
        ((("impersonate-user", "system:serviceaccount:A_b:c"),), (403, "SystemName")),
        ((("impersonate-user", "a"), ("impersonate-group", "system:masters")), (403, "SystemName")),
        ((("impersonate-user", "a"), ("impersonate-group", "system:serviceaccounts")), (403, "SystemName")),
        (
            (
                ("impersonate-user", "system:serviceaccount:a:b"),
                ("impersonate-group", "system:serviceaccounts:kube-system"),
            ),
            (403, "SystemName"),
        ),
        ((("impersonate-user", "a"), ("impersonate-group", "tenantry:gateway:nodes:delete")), (403, "ReservedName")),
    ],
)
def test_invariants_5_and_7_what_nobody_acts_as_is_refused(lines: Lines, expected: tuple[int, str]) -> None:
    found = impersonation_plan(lines, CALLER, RULES)
    assert isinstance(found, ImpersonationRefusal)
    assert (found.status, found.token) == expected


def test_invariant_7_the_allow_list_leads_to_a_review() -> None:
    rules = ImpersonationRules(is_enabled=True, guards=GuardRules(allowed_system_names=frozenset({"system:masters"})))
    lines = (("impersonate-user", "a"), ("impersonate-group", "system:masters"))
    assert plan(lines, rules).reviews == (review("users", "a"), review("groups", "system:masters"))


@pytest.mark.parametrize("name", ["impersonate-user", "Impersonate-Group", "IMPERSONATE_UID", " impersonate-x"])
def test_whatever_looks_like_it_is_taken_for_it(name: str) -> None:
    assert wants_impersonation(((name, ""),))
    assert not wants_impersonation((("authorization", "x"),))


@pytest.mark.parametrize(
    ("identity", "groups"),
    [
        (Identity(user="a"), ("system:authenticated",)),
        (Identity(user="a", groups=("b",)), ("b", "system:authenticated")),
        (Identity(user="a", groups=("system:authenticated", "b")), ("system:authenticated", "b")),
        (Identity(user="a", groups=("system:unauthenticated",)), ("system:unauthenticated",)),
        (Identity(user="system:anonymous"), ("system:unauthenticated",)),
    ],
)
def test_invariant_6_reviews_have_the_groups_that_upstream_adds(identity: Identity, groups: tuple[str, ...]) -> None:
    assert effective_groups(identity) == groups


def test_a_review_is_about_the_whole_identity() -> None:
    question = AccessReviewSpec(resource_attributes=ResourceAttributes(verb="get", resource="pods"))
    who = Identity(user="a", groups=("b",), uid="1", extra=(("k", ("v",)),))
    assert review_of(who, question) == SubjectAccessReviewSpec(
        resource_attributes=question.resource_attributes,
        user="a",
        groups=("b", "system:authenticated"),
        extra={"k": ("v",)},
        uid="1",
    )

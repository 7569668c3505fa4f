"""Identities become headers one value each, and come back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.guards import principal_problem
from tenantry.access.identity import Identity
from tenantry.access.identity_headers import extra_key, identity_from, identity_lines

PRINCIPALS = st.text(min_size=1, max_size=20).filter(lambda text: principal_problem(text) is None)
VALUES = st.lists(PRINCIPALS, min_size=1, max_size=2).map(tuple)
EXTRA = st.dictionaries(st.from_regex(r"[a-z0-9/\-._]+", fullmatch=True), VALUES, max_size=3)
IDENTITIES = st.builds(
    Identity,
    user=PRINCIPALS,
    groups=st.lists(PRINCIPALS, unique=True, max_size=4).map(tuple),
    uid=st.just("") | PRINCIPALS,
    extra=EXTRA.map(lambda extra: tuple(sorted(extra.items()))),
)


def test_invariant_4_each_group_has_a_header_of_its_own() -> None:
    who = Identity(
        user="alice",
        groups=("a,b", "c"),
        uid="7",
        extra=(("authentication.kubernetes.io/pod-name", ("p", "q")),),
    )
    assert identity_lines(who) == (
        ("impersonate-user", "alice"),
        ("impersonate-group", "a,b"),
        ("impersonate-group", "c"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-authentication.kubernetes.io%2fpod-name", "p"),
        ("impersonate-extra-authentication.kubernetes.io%2fpod-name", "q"),
    )


@given(IDENTITIES)
def test_identities_come_back(identity: Identity) -> None:
    lines = identity_lines(identity)
    assert all(name == name.lower() and " " not in name for name, _ in lines)
    assert identity_from(lines) == identity


def test_an_account_whose_groups_were_dropped_gets_none_back_from_upstream() -> None:
    assert identity_lines(Identity(user="system:serviceaccount:n:a")) == (
        ("impersonate-user", "system:serviceaccount:n:a"),
        ("impersonate-group", "system:authenticated"),
    )


@pytest.mark.parametrize("identity", [Identity(user=""), Identity(user="a\nb"), Identity(user="a", groups=("",))])
def test_invariant_3_no_lines_without_a_user(identity: Identity) -> None:
    with pytest.raises(ValueError, match="an identity without a user"):
        identity_lines(identity)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (("impersonate-group", "a"),),
        (("impersonate-user", ""),),
        (("impersonate-user", "a"), ("impersonate-user", "b")),
        (("impersonate-user", "a"), ("impersonate-uid", "b"), ("impersonate-uid", "c")),
        (("impersonate-user", "a"), ("impersonate_group", "b")),
        (("impersonate-user", "a"), ("Impersonate-Group", "b")),
        (("impersonate-user", "a"), ("impersonate-other", "b")),
    ],
)
def test_half_an_identity_is_none(lines: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match="identity"):
        identity_from(lines)


def test_keys_are_decoded_as_upstream_does() -> None:
    assert [extra_key(f"impersonate-extra-{name}") for name in ("a%2fb", "a%2Fb", "a%zz%2f", "a%")] == [
        "a/b",
        "a/b",
        "a%zz%2f",
        "a%",
    ]

"""A continue token is good for whom and what it was given for, and for nothing else (invariant 12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenantry.access.identity import Identity
from tenantry.gateway.fanout.cursor import BadCursorError, Binding, Cursor, ExpiredCursorError, opened, sealed

KEY = b"k" * 32
ALICE = Identity(user="alice", groups=("a", "b"), uid="1", extra=(("credential-id", ("x",)),))
BINDING = Binding(
    identity=ALICE, cluster="c", query=(("resource", "pods"), ("labelSelector", "a=b")), namespaces=("n",)
)
CURSOR = Cursor(namespace="n", token="up", version="7", resource_version="5", resource_version_match="Exact")


def test_a_cursor_comes_back_whole() -> None:
    assert opened(sealed(CURSOR, BINDING, KEY), BINDING, KEY) == CURSOR


@pytest.mark.parametrize(
    "same",
    [
        replace(BINDING, identity=replace(ALICE, groups=("b", "a"))),
        replace(BINDING, identity=replace(ALICE, extra=())),
        replace(BINDING, query=BINDING.query[::-1]),
    ],
    ids=["groups in another order", "a renewed credential", "parameters in another order"],
)
def test_it_holds_for_the_same_list(same: Binding) -> None:
    assert opened(sealed(CURSOR, BINDING, KEY), same, KEY) == CURSOR


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, identity=replace(ALICE, user="bob")),
        replace(BINDING, identity=replace(ALICE, groups=("a",))),
        replace(BINDING, identity=replace(ALICE, groups=("a", "b", "c"))),
        replace(BINDING, identity=replace(ALICE, uid="2")),
        replace(BINDING, cluster="d"),
        replace(BINDING, query=(("resource", "secrets"), ("labelSelector", "a=b"))),
        replace(BINDING, query=(("resource", "pods"),)),
        replace(BINDING, namespaces=("n", "o")),
        replace(BINDING, namespaces=()),
    ],
    ids=["user", "fewer groups", "more groups", "uid", "cluster", "kind", "selector", "granted", "revoked"],
)
def test_it_expires_for_any_other(other: Binding) -> None:
    with pytest.raises(ExpiredCursorError):
        opened(sealed(CURSOR, BINDING, KEY), other, KEY)


def test_another_key_makes_the_list_start_again() -> None:
    with pytest.raises(ExpiredCursorError):
        opened(sealed(CURSOR, BINDING, KEY), BINDING, b"x" * 32)


@pytest.mark.parametrize("position", [0, 20, 50, 80, -1])
def test_a_changed_token_is_refused(position: int) -> None:
    token = list(sealed(CURSOR, BINDING, KEY))
    token[position] = "A" if token[position] != "A" else "B"
    with pytest.raises((ExpiredCursorError, BadCursorError)):
        opened("".join(token), BINDING, KEY)


@pytest.mark.parametrize("token", ["x", "abc", "é", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "A" * 80])
def test_what_is_no_token_is_a_bad_request(token: str) -> None:
    with pytest.raises(BadCursorError):
        opened(token, BINDING, KEY)

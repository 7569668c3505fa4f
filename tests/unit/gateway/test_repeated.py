"""What is read once is what is read each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.identity_headers import identity_from
from tenantry.access.requests import RefusedRequestError, request_info
from tenantry.gateway.repeated import identity_among, identity_of, info_of

NAMES = st.sampled_from(["impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-a", ":id"])
LINES = st.lists(st.tuples(NAMES, st.sampled_from(["", "alice", "bob"]))).map(tuple)


@given(LINES)
def test_lines_name_the_same_identity_the_second_time(lines: tuple[tuple[str, str], ...]) -> None:
    """Refusals too: what is no identity stays none."""
    try:
        expected = identity_from(lines)
    except ValueError as error:
        for _ in range(2):
            with pytest.raises(ValueError, match=str(error)[:20]):
                identity_among(lines)
        return
    assert [identity_among(lines), identity_among(lines)] == [expected, expected]


def test_equal_identities_are_one_object() -> None:
    """Watches hold theirs for hours."""
    lines = (("impersonate-user", "alice"), ("impersonate-group", "devs"))
    assert identity_of(lines) is identity_of((*lines[:1], *lines[1:]))


@pytest.mark.parametrize("target", ["/api/v1/pods?watch=1", "/api/v1/pods?labelSelector=" + "a" * 1000])
def test_targets_are_read_the_same_the_second_time(target: str) -> None:
    """Methods are told apart."""
    for method in ("GET", "DELETE", "GET"):
        assert info_of(method, target) == request_info(method, target)


def test_a_refused_target_is_refused_again() -> None:
    """A refusal is never kept as an answer."""
    for _ in range(2):
        with pytest.raises(RefusedRequestError):
            info_of("GET", "/api/v1//pods")

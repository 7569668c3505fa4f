"""Arithmetic of quotas that several namespaces share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.quantities import ZERO, Quantity, parse_quantity
from tenantry.tenancy.quota import SharedQuota, amounts


def shared(hard: str, **used: str) -> SharedQuota:
    return SharedQuota(
        hard=amounts({"cpu": hard}), used={namespace: amounts({"cpu": value}) for namespace, value in used.items()}
    )


def test_nothing_used_leaves_the_whole_to_everybody() -> None:
    assert shared("4").hard_in("a") == amounts({"cpu": "4"})


def test_used_up_holds_each_namespace_at_what_it_has() -> None:
    quota = shared("4", a="1", b="3500m")

    assert (quota.hard_in("a"), quota.hard_in("b"), quota.hard_in("c"), quota.exceeded()) == (
        amounts({"cpu": "1"}),
        amounts({"cpu": "3500m"}),
        amounts({"cpu": "0"}),
        ("cpu",),
    )


def test_amounts_keep_the_family_of_the_limit() -> None:
    quota = SharedQuota(hard=amounts({"memory": "16Gi"}), used={"a": amounts({"memory": "1Gi"})})

    assert (str(quota.hard_in("a")["memory"]), str(quota.hard_in("b")["memory"])) == ("16Gi", "15Gi")


@given(st.integers(0, 10_000), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10_000), min_size=1, max_size=4))
def test_no_namespace_is_set_below_its_use_or_could_take_more_than_is_left(hard: int, used: dict[str, int]) -> None:
    quota = shared(str(hard), **{name: str(value) for name, value in used.items()})
    left = max(hard - sum(used.values()), 0)

    assert {name: quota.hard_in(name)["cpu"] - parse_quantity(str(value)) for name, value in used.items()} == {
        name: Quantity(left * 10**9) if left else ZERO for name in used
    }

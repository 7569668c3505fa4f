"""The predicate of all filtered reads, by its laws."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from tenantry.access.sight import EVERYTHING, NOTHING, Rule, Sight, by_rule, by_selector, united
from tenantry.api.meta import LabelSelectorRequirement as Requirement

KEYS, VALUES, NAMES = ("env", "tier", "team"), ("prod", "dev", "gold"), ("a", "b", "fast-ssd", "c.d")
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
requirements = st.one_of(
    st.builds(
        Requirement,
        key=st.sampled_from(KEYS),
        operator=st.sampled_from(["In", "NotIn"]),
        values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple),
    ),
    st.builds(Requirement, key=st.sampled_from(KEYS), operator=st.sampled_from(["Exists", "DoesNotExist"])),
)
rules = st.builds(
    Rule,
    labels=labels.map(lambda each: tuple(sorted(each.items()))),
    expressions=st.lists(requirements, max_size=2).map(tuple),
    pattern=st.sampled_from(["", "^a$", "ssd", "("]),
)
sights = st.one_of(
    st.builds(Sight, names=st.frozensets(st.sampled_from(NAMES)), rules=st.lists(rules, max_size=2).map(tuple)),
    st.just(EVERYTHING),
    st.just(NOTHING),
)
objects = st.tuples(st.sampled_from(NAMES), labels)


@given(st.lists(sights, max_size=4), objects)
def test_a_union_shows_what_one_part_shows_and_nothing_else(
    parts: list[Sight], obj: tuple[str, dict[str, str]]
) -> None:
    assert united(parts).shows(*obj) == any(part.shows(*obj) for part in parts)


@given(st.lists(sights, max_size=3))
def test_the_order_of_parts_makes_no_difference(parts: list[Sight]) -> None:
    assert len({united(order) for order in permutations(parts)}) <= 1


@given(st.lists(sights, max_size=3), sights, objects)
def test_more_grants_never_show_less(parts: list[Sight], more: Sight, obj: tuple[str, dict[str, str]]) -> None:
    if united(parts).shows(*obj):
        assert united([*parts, more]).shows(*obj)


@given(st.lists(rules, min_size=2, max_size=4), objects)
def test_whatever_is_shown_is_shown_by_one_whole_rule(many: list[Rule], obj: tuple[str, dict[str, str]]) -> None:
    sight = united(by_rule(rule) for rule in many)

    assert sight.shows(*obj) == any(rule.holds(*obj) for rule in many)


def test_two_selectors_do_not_make_a_cross_product() -> None:
    sight = united(by_selector({"env": env, "tier": tier}, ()) for env, tier in (("prod", "gold"), ("dev", "silver")))

    shown = [
        (env, tier)
        for env in ("prod", "dev")
        for tier in ("gold", "silver")
        if sight.shows("x", {"env": env, "tier": tier})
    ]

    assert shown == [("prod", "gold"), ("dev", "silver")]


def test_an_empty_selector_shows_everything_and_an_invalid_one_nothing() -> None:
    not_a_key = Requirement(key="no key", operator="NotIn", values=("x",))

    assert by_selector({}, ()) == EVERYTHING
    assert by_selector(None, ()) == EVERYTHING
    assert by_selector({}, [not_a_key]) == NOTHING
    assert by_selector({"a": "b c"}, ()) == NOTHING


def test_names_are_names_and_not_labels() -> None:
    sight = Sight(names=frozenset({"fast"}))

    assert sight.shows("fast", {})
    assert not sight.shows("slow", {"kubernetes.io/metadata.name": "fast", "name": "fast"})


def test_nothing_is_nothing() -> None:
    assert [sight.is_nothing for sight in (NOTHING, EVERYTHING, Sight(names=frozenset({"a"})))] == [True, False, False]
    assert not NOTHING.shows("a", {})

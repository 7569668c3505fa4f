"""What allow lists let through, and what they say that users may take instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.api.meta import ObjectMeta
from tenantry.api.shared import AllowedList, DefaultAllowedList, SelectorAllowedList
from tenantry.api.tenant import AvailableClasses, Tenant, TenantSpec
from tenantry.foundation.codec import from_plain
from tenantry.tenancy.checks.allowed import (
    available_classes,
    choices,
    class_is_allowed,
    entry_is_allowed,
    is_restricted,
    name_is_allowed,
)
from tenantry.tenancy.views import ClassEntry, ClassKind

GOLD = ClassEntry(name="gold", labels={"tier": "gold", "env": "prod"})


@pytest.mark.parametrize(
    ("plain", "restricted"),
    [
        ({}, False),
        ({"allowed": [], "allowedRegex": "", "matchLabels": {}, "matchExpressions": []}, False),
        ({"default": "gold"}, False),
        ({"allowed": ["gold"]}, True),
        ({"allowedRegex": "^gold"}, True),
        ({"matchLabels": {"a": "b"}}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
    ],
)
def test_a_list_restricts_if_it_says_what_is_allowed(plain: dict[str, Any], *, restricted: bool) -> None:
    assert is_restricted(from_plain(plain, DefaultAllowedList)) is restricted


@pytest.mark.parametrize(
    ("plain", "name", "allowed"),
    [
        ({}, "anything", True),
        ({"allowed": ["gold", "Silver"]}, "Silver", True),
        ({"allowed": ["gold", "Silver"]}, "silver", False),  # D-8: case counts
        ({"allowed": ["b", "a", "C"]}, "C", True),  # D-8: order does not
        ({"allowed": ["gold"]}, "gold-plus", False),
        ({"allowedRegex": "old"}, "gold-plus", True),
        ({"allowedRegex": "^old"}, "gold-plus", False),
        ({"allowedRegex": "("}, "(", False),  # D-16: no panic, no pass
        ({"allowed": ["gold"], "allowedRegex": "("}, "gold", True),
        ({"allowed": ["gold"], "default": "base"}, "base", True),
        ({"allowed": ["gold"], "default": ""}, "", False),
        ({"matchLabels": {"tier": "gold"}}, "gold", False),
    ],
)
def test_names_are_allowed_exactly_by_search_or_as_the_default(
    plain: dict[str, Any], name: str, *, allowed: bool
) -> None:
    assert name_is_allowed(from_plain(plain, DefaultAllowedList), name) is allowed


@pytest.mark.parametrize(
    ("plain", "allowed"),
    [
        ({"matchLabels": {"tier": "gold"}}, True),
        ({"matchLabels": {"tier": "tin"}}, False),
        ({"matchLabels": {"tier": "gold"}, "matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "In", "values": ["test", "prod"]}]}, True),
        ({"matchExpressions": [{"key": "env", "operator": "Resembles", "values": ["prod"]}]}, False),
        ({"allowed": ["silver"]}, False),  # the selector that is not there matches nothing
        ({"allowed": ["silver"], "matchLabels": {"tier": "gold"}}, True),
    ],
)
def test_classes_are_allowed_by_their_labels(plain: dict[str, Any], shelf: Any, *, allowed: bool) -> None:
    wanted = from_plain(plain, SelectorAllowedList)
    lookups = shelf(classes={ClassKind.STORAGE: (GOLD,)})

    assert entry_is_allowed(wanted, GOLD) is allowed
    assert class_is_allowed(wanted, ClassKind.STORAGE, "gold", lookups) is allowed


def test_a_class_that_does_not_exist_has_no_labels_to_be_allowed_by(shelf: Any) -> None:
    wanted = SelectorAllowedList(match_labels={"tier": "gold"})

    assert class_is_allowed(wanted, ClassKind.STORAGE, "gold", shelf()) is False


def test_choices_name_every_way_out() -> None:
    wanted = from_plain(
        {
            "allowed": ["gold", "silver"],
            "allowedRegex": "^tin-",
            "matchLabels": {"tier": "gold"},
            "matchExpressions": [
                {"key": "env", "operator": "In", "values": ["a", "b"]},
                {"key": "zone", "operator": "NotIn", "values": ["c"]},
                {"key": "ok", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
            "default": "base",
        },
        DefaultAllowedList,
    )

    assert choices(wanted) == (
        "use one from the following list (gold, silver) or use one matching the regular expression (^tin-) or "
        "use one whose labels match (tier=gold, env in (a, b), zone notin (c), ok, !old) or use the default (base)"
    )


def test_available_classes_are_those_that_exist_and_all_where_nothing_restricts(shelf: Any) -> None:
    classes = {
        ClassKind.STORAGE: (ClassEntry(name="slow"), GOLD, ClassEntry(name="base")),
        ClassKind.PRIORITY: (
            ClassEntry(name="system-node-critical"),
            ClassEntry(name="system-cluster-critical"),
            ClassEntry(name="batch"),
        ),
        ClassKind.RUNTIME: (ClassEntry(name="gvisor"), ClassEntry(name="kata")),
        ClassKind.GATEWAY: (ClassEntry(name="internal"), ClassEntry(name="public")),
        ClassKind.DEVICE: (ClassEntry(name="gpu"),),
    }
    spec = {
        "storageClasses": {"default": "base", "matchLabels": {"tier": "gold"}, "allowed": ["not-there"]},
        "runtimeClasses": {"allowedRegex": "^k"},
        "gatewayOptions": {"allowedClasses": {"allowed": ["public"]}},
        "deviceClasses": {"allowed": ["none"]},
    }
    tenant = Tenant(metadata=ObjectMeta(name="oil"), spec=from_plain(spec, TenantSpec))

    assert available_classes(tenant, shelf(classes=classes)) == AvailableClasses(
        storage=("base", "gold"),
        priority=("batch", "system-cluster-critical", "system-node-critical"),
        runtime=("kata",),
        gateway=("public",),
        device=(),
    )


@given(names=st.lists(st.text(max_size=8), max_size=6), name=st.text(max_size=8))
def test_an_exact_list_allows_its_members_and_nothing_else_whatever_the_order(names: list[str], name: str) -> None:
    straight, reverse = AllowedList(allowed=tuple(names)), AllowedList(allowed=tuple(reversed(names)))

    assert name_is_allowed(straight, name) == name_is_allowed(reverse, name) == (not names or name in names)

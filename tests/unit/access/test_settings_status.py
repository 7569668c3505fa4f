"""The status that settings objects get."""

from __future__ import annotations

import pytest

from tenantry.access.rule_kinds import KindName
from tenantry.access.settings_status import readable, says_the_same, settings_status
from tenantry.api.meta import Condition, LabelSelector, LabelSelectorRequirement, ObjectMeta
from tenantry.api.proxy import (
    ClusterResource,
    GlobalProxySettings,
    GlobalProxySettingsSpec,
    GlobalRule,
    ProxySetting,
    ProxySettingSpec,
    ProxySettingsStatus,
    TenantSubject,
)

NOW, THEN = "2026-01-02T03:04:05Z", "2026-01-01T00:00:00Z"
META = ObjectMeta(name="x", generation=3)
GOOD = ClusterResource(selector=LabelSelector())
BAD = ClusterResource(selector=LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Near"),)))


def ready(
    status: str = "True", *, reason: str = "Succeeded", message: str = "reconciled", since: str = NOW
) -> Condition:
    return Condition(
        type="Ready", status=status, reason=reason, message=message, last_transition_time=since, observed_generation=3
    )


@pytest.mark.parametrize(
    "settings",
    [
        GlobalProxySettings(metadata=META),
        ProxySetting(metadata=META),
        GlobalProxySettings(
            metadata=META, spec=GlobalProxySettingsSpec(rules=(GlobalRule(cluster_resources=(GOOD,)),))
        ),
        ProxySetting(metadata=META, spec=ProxySettingSpec(subjects=(TenantSubject(cluster_resources=(GOOD,)),))),
    ],
)
def test_what_is_acted_upon_is_ready(settings: ProxySetting | GlobalProxySettings) -> None:
    assert settings_status(settings, now=NOW) == ProxySettingsStatus(observed_generation=3, conditions=(ready(),))


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (
            GlobalProxySettings(
                metadata=META, spec=GlobalProxySettingsSpec(rules=(GlobalRule(cluster_resources=(GOOD, BAD)),))
            ),
            "spec.rules[0].clusterResources[1]",
        ),
        (
            ProxySetting(
                metadata=META,
                spec=ProxySettingSpec(subjects=(TenantSubject(), TenantSubject(cluster_resources=(BAD,)))),
            ),
            "spec.subjects[1].clusterResources[0]",
        ),
    ],
)
def test_a_wrong_selector_is_said_with_its_path(settings: ProxySetting | GlobalProxySettings, path: str) -> None:
    message = (
        f"{path}.selector.matchExpressions[0]: operator 'Near' is none of In, NotIn, Exists, DoesNotExist; "
        "the rule shows nothing until that is corrected"
    )

    assert settings_status(settings, now=NOW).conditions == (ready("False", reason="InvalidSelector", message=message),)


def test_the_status_stays_as_it_is_while_nothing_changes() -> None:
    stored = ProxySettingsStatus(observed_generation=3, conditions=(ready(since=THEN),))

    assert settings_status(ProxySetting(metadata=META, status=stored), now=NOW) == stored


def told(status: str, reason: str, message: str, *, since: str = "") -> Condition:
    return Condition(
        type="Readable",
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=3,
    )


def test_what_the_gateway_may_not_read_is_said_with_what_helps() -> None:
    names = {KindName("b.example.org", "widgets"), KindName("", "componentstatuses")}
    message = (
        "the gateway may not read componentstatuses, widgets.b.example.org: users are told to try again until a "
        "platform operator grants it, by `tenantry gateway rights | kubectl apply -f -`"
    )

    assert readable(names, generation=3) == told("False", "Forbidden", message)
    assert readable((), generation=3) == told("True", "Allowed", "the gateway may read what the rules name")
    many = readable([KindName("x", f"k{number:02}") for number in range(25)], generation=3).message
    assert "k19.x and 5 more: " in many


def test_readable_stands_beside_ready_and_stays_while_it_can_not_be_told() -> None:
    before = told("False", "Forbidden", "no", since=THEN)
    stored = ProxySetting(metadata=META, status=ProxySettingsStatus(conditions=(before,)))

    assert settings_status(stored, now=NOW).conditions == (ready(), before)
    after = told("True", "Allowed", "yes")
    assert not says_the_same(before, after)
    assert settings_status(stored, now=NOW, readable=after).conditions == (
        ready(),
        told("True", "Allowed", "yes", since=NOW),
    )

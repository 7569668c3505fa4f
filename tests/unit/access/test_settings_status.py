"""The status that settings objects get."""

from __future__ import annotations

import pytest

from tenantry.access.settings_status import settings_status
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

"""Whether a selector surely takes an object."""

from __future__ import annotations

import pytest

from tenantry.api.meta import ObjectMeta, PartialObject
from tenantry.kube.selectors import surely_matches

OBJECT = PartialObject(metadata=ObjectMeta(name="a", namespace="n", labels={"app": "web", "tier": ""}))


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        (None, None, True),
        ("", "", True),
        ("app=web", None, True),
        ("app==web", None, True),
        ("app=api", None, False),
        ("app!=api", None, True),
        ("app!=web", None, False),
        ("missing!=x", None, True),
        ("app", None, True),
        ("missing", None, False),
        ("!missing", None, True),
        ("!app", None, False),
        ("app=web, tier=", None, True),
        ("app=web,missing", None, False),
        ("app in (web)", None, False),
        ("app in (web, api)", None, False),
        ("app notin (api)", None, False),
        (None, "metadata.name=a", True),
        (None, "metadata.name==a,metadata.namespace=n", True),
        (None, "metadata.name=b", False),
        (None, "metadata.name!=b", False),
        (None, "status.phase=Running", False),
    ],
)
def test_true_only_where_it_can_be_told(labels: str | None, fields: str | None, *, expected: bool) -> None:
    assert surely_matches(OBJECT, labels, fields) is expected

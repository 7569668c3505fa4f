"""Ages as Go prints them."""

from __future__ import annotations

import pytest

from tenantry.gateway.serving.ages import age

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400

# TestHumanDuration of k8s.io/apimachinery/pkg/util/duration, and the steps' edges.
VECTORS = [
    (1, "1s"),
    (70, "70s"),
    (190, "3m10s"),
    (70 * MINUTE, "70m"),
    (47 * HOUR, "47h"),
    (49 * HOUR, "2d1h"),
    (8 * DAY + 2 * HOUR, "8d"),
    (367 * DAY, "367d"),
    (2 * YEAR + 25 * HOUR, "2y1d"),
    (8 * YEAR + 2 * DAY, "8y"),
    (1.999, "1s"),
    (119, "119s"),
    (120, "2m"),
    (121, "2m1s"),
    (10 * MINUTE - 1, "9m59s"),
    (10 * MINUTE, "10m"),
    (3 * HOUR - 1, "179m"),
    (3 * HOUR, "3h"),
    (3 * HOUR + 1 * MINUTE, "3h1m"),
    (8 * HOUR - 1, "7h59m"),
    (8 * HOUR, "8h"),
    (48 * HOUR - 1, "47h"),
    (48 * HOUR, "2d"),
    (8 * DAY - 1, "7d23h"),
    (2 * YEAR - 1, "729d"),
    (2 * YEAR, "2y"),
    (8 * YEAR - 1, "7y364d"),
    (8 * YEAR, "8y"),
    (0, "0s"),
    (-0.5, "0s"),
    (-1.9, "0s"),
    (-2, "<invalid>"),
]


@pytest.mark.parametrize(("seconds", "text"), VECTORS)
def test_an_age_is_printed_as_go_does(seconds: float, text: str) -> None:
    assert age(1_000_000_000, 1_000_000_000 + seconds) == text


def test_what_was_never_created_has_no_age() -> None:
    assert age(None, 1.0) == "<unknown>"

"""How results are printed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pytest

from tenantry.cli.output import age, plain, table

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-04-30T23:59:20Z", "40s"),
        ("2026-04-30T23:58:30Z", "90s"),
        ("2026-04-30T23:00:00Z", "60m"),
        ("2026-04-30T01:00:00Z", "23h"),
        ("2026-04-01T00:00:00.000001Z", "29d"),
        ("2026-05-01T00:00:07Z", "0s"),
        (None, "unknown"),
        ("soon", "unknown"),
    ],
)
def test_ages_read_as_kubectl_s(created: str | None, expected: str) -> None:
    assert age(created, NOW) == expected


def test_columns_are_aligned_and_lines_have_no_trailing_blanks() -> None:
    assert table(("name", "n"), [("a", 1), ("longer", "")]) == "NAME     N\na        1\nlonger"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Line:
    cluster_roles: tuple[str, ...]
    colour: Colour


def test_keys_are_written_as_kubernetes_writes_them() -> None:
    assert plain([Line(("a",), Colour.RED)]) == [{"clusterRoles": ["a"], "colour": "red"}]

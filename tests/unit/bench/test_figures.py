"""Figures know their aims, and are written the way they are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.document import END, TABLES, page_with
from bench.figures import Figure, Report, Row, Verdict, number, p99, table

BEGIN, GATEWAY = TABLES[""][0], TABLES["gateway"][0]
ROW = Row(
    work="creates",
    capsule="41/s",
    figures=(
        Figure(name="rate", value=199.6, unit="/s", at_least=200),
        Figure(name="latency", value=8.3333, unit="ms", at_most=9),
        Figure(name="failed", value=0),
    ),
)


@pytest.mark.parametrize(
    ("value", "at_most", "at_least", "verdict"),
    [
        pytest.param(9, 9, None, Verdict.MET, id="at the upper bound"),
        pytest.param(9.1, 9, None, Verdict.MISSED, id="over it"),
        pytest.param(200, None, 200, Verdict.MET, id="at the lower bound"),
        pytest.param(199, None, 200, Verdict.MISSED, id="below it"),
        pytest.param(5, None, None, Verdict.STATED, id="without an aim"),
    ],
)
def test_a_figure_is_judged_by_its_aim(
    value: float, at_most: float | None, at_least: float | None, verdict: Verdict
) -> None:
    assert Figure(name="x", value=value, at_most=at_most, at_least=at_least).verdict is verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (8.3333, "8.33"), (12.34, "12.3"), (229.7, "230"), (1164, "1164")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_the_table_shows_aim_and_verdict_beside_each_figure() -> None:
    lines: list[str] = []
    table([ROW], lines.append)

    assert [line.split() for line in lines] == [
        ["creates", "(Capsule:", "41/s)"],
        ["rate", "200", "/s", ">=", "200", "MISSED"],
        ["latency", "8.33", "ms", "<=", "9", "met"],
        ["failed", "0"],
    ]


def test_p99_is_what_one_in_a_hundred_exceeds() -> None:
    assert p99(list(range(101))) == 99


def test_a_run_is_written_and_put_into_the_page(tmp_path: Path) -> None:
    """What stood between the marks goes; the rest of the page stays."""
    report = Report(rows=[ROW], seconds=12.3, load=0.1)
    run = json.loads(report.write(tmp_path).read_text())

    page = page_with(f"before\n{BEGIN}old\n{END}\nafter\n", run)

    assert page.splitlines()[:2] == ["before", BEGIN.strip()]
    assert page.splitlines()[3].endswith("in 12 s; load before: 0.1.")
    assert page.splitlines()[5:] == [
        "| work | Capsule | figure | | aim | |",
        "|---|---|---|---|---|---|",
        "| creates | 41/s | rate | 200 /s | at least 200 | missed |",
        "|  |  | latency | 8.33 ms | at most 9 | met |",
        "|  |  | failed | 0 |  |  |",
        "",
        END.strip(),
        "",
        "after",
    ]


def test_a_run_of_the_gateway_alone_leaves_the_other_figures(tmp_path: Path) -> None:
    """Each part has its table, and names what it is compared with."""
    row = Row(work="lists", capsule="2 ms", figures=(Figure(name="CPU", value=0.5, unit="ms"),), part="gateway")
    run = json.loads(Report(rows=[row], seconds=1, load=0.1).write(tmp_path).read_text())

    page = page_with(f"{BEGIN}old\n{END}{GATEWAY}old\n{END}", run)

    assert page.splitlines()[:4] == [BEGIN.strip(), "old", END.strip(), GATEWAY.strip()]
    assert page.splitlines()[7:] == [
        "| work | capsule-proxy | figure | | aim | |",
        "|---|---|---|---|---|---|",
        "| lists | 2 ms | CPU | 0.5 ms |  |  |",
        "",
        END.strip(),
    ]


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    run = json.loads(Report(rows=[ROW], seconds=1, load=0.1).write(tmp_path).read_text())
    with pytest.raises(ValueError, match="once"):
        page_with("nothing", run)

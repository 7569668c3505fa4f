"""Puts the figures of a run into docs/performance.md: ``python -m bench.document [RESULT.json]``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.figures import number

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "performance.md"
END: Final = "<!-- end of figures -->\n"
TABLES: Final = {
    "": ("<!-- figures: python -m bench.document -->\n", "Capsule"),
    "gateway": ("<!-- figures of the gateway: python -m bench.document -->\n", "capsule-proxy"),
}
"""Of each part of a run: where its table begins in the page, and what it is compared with."""


def page_with(page: str, run: dict[str, Any]) -> str:
    """Return *page* with the figures of *run* in place of those it had; what was not measured stays."""
    for part, (begin, other) in TABLES.items():
        rows = [row for row in run["rows"] if row.get("part", "") == part]
        if rows:
            page = _replaced(page, begin, "\n".join(_lines(run, rows, other)))
    return page


def _replaced(page: str, begin: str, figures: str) -> str:
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(END), re.DOTALL)
    replaced, count = pattern.subn(lambda _: f"{begin}\n{figures}\n\n{END}", page)
    if count != 1:
        raise ValueError(f"the page needs the two lines {begin.strip()} and {END.strip()}, once")
    return replaced


def _lines(run: dict[str, Any], rows: Sequence[dict[str, Any]], other: str) -> Iterator[str]:
    machine = run["machine"]
    where = f"{machine['cores']} cores ({machine['system']}, Python {machine['python']})"
    yield f"Taken on {run['started'][:10]}, on {where}, in {run['seconds']:.0f} s; load before: {machine['load']}."
    yield ""
    yield f"| work | {other} | figure | | aim | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        for index, figure in enumerate(row["figures"]):
            work, capsule = (row["work"], row["capsule"] or "-") if index == 0 else ("", "")
            value = f"{number(figure['value'])} {figure['unit']}".strip()
            yield f"| {work} | {capsule} | {figure['name']} | {value} | {_aim(figure)} | {figure['verdict'].lower()} |"


def _aim(figure: dict[str, Any]) -> str:
    if figure["at_most"] is not None:
        return f"at most {number(figure['at_most'])}"
    return f"at least {number(figure['at_least'])}" if figure["at_least"] is not None else ""


def main(arguments: Sequence[str]) -> int:
    """Write the page anew, from the result named, or else from the last one."""
    result = Path(arguments[0]) if arguments else max(RESULTS.glob("*.json"), default=None)
    if result is None:
        print("there is no result yet: run make bench", file=sys.stderr)
        return 1
    PAGE.write_text(page_with(PAGE.read_text(), json.loads(result.read_text())))
    print(f"{PAGE.relative_to(ROOT)} has the figures of {result.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

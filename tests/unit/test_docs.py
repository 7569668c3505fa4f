"""The documents tell what is: pages are as generated, links lead somewhere, commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from reference.commands import commands
from reference.pages import FOLDER
from reference.pages import PAGES as GENERATED
from tenantry.cli.main import tenantry
from tenantry.install.monitoring import alert_rules

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
PAGES: Final = sorted(
    [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "examples" / "README.md", *DOCS.rglob("*.md")]
)
ADDRESSED: Final = [page for page in PAGES if page.name not in {"CONTRIBUTING.md", "SECURITY.md", "performance.md"}]

MEASURED: Final = DOCS / "performance.md"
"""Comes with the figures of a run of the benchmarks; pages may link to it before."""

_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK: Final = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`((?:tenantry|make) [^`]*)`")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The text of *page* without its code."""
    return re.sub(r"`[^`]*`", "", _BLOCK.sub("", page.read_text()))


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_reference_pages_are_as_generated(name: str) -> None:
    """Where one is not: ``python tools/write_reference.py``."""
    assert (FOLDER / name).read_text() == GENERATED[name]()


def test_every_reference_page_is_generated() -> None:
    assert {page.name for page in FOLDER.glob("*.md")} == GENERATED.keys()


@pytest.mark.parametrize("page", ADDRESSED, ids=name_of)
def test_every_page_says_first_whom_it_is_for(page: Path) -> None:
    first = next(part for part in page.read_text().split("\n\n") if not part.startswith("#"))
    sentence = re.split(r"[.:] |[.:]\n", first)[0]
    assert re.search(r"\bfor\b", sentence, re.IGNORECASE), sentence


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in _LINK.findall(prose(page)) if not _leads_somewhere(page, link)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("http://", "https://")):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return target == MEASURED
    return not anchor or target.is_dir() or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", re.sub(r"`", "", heading)).strip().lower().replace(" ", "-") for heading in headings}


def test_every_page_can_be_found() -> None:
    """The index of the documents, or of a part of them, links to it."""
    indexes = (README, DOCS / "README.md", DOCS / "decisions" / "README.md")
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in indexes
        for link in _LINK.findall(index.read_text())
    }
    assert [name_of(page) for page in DOCS.rglob("*.md") if page not in linked and page != DOCS / "README.md"] == []


def test_every_alert_says_what_to_do() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "how-to" / "operate.md").read_text(), re.MULTILINE))
    assert {rule["alert"] for group in alert_rules()["groups"] for rule in group["rules"]} <= told


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "commands.md"], ids=name_of)
def test_commands_that_pages_print_exist(page: Path) -> None:
    wrong = {line: problem for line in _commands_in(page.read_text()) if (problem := _problem(line)) is not None}
    assert wrong == {}


def _commands_in(text: str) -> Iterator[str]:
    """Yield calls of our command line and of make, of blocks and of the prose."""
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield from (
                    part.strip() for part in re.split(r"[|;] ", line[2:]) if part.strip().startswith("tenantry ")
                )
    yield from (re.split(r" \\?\| ", command)[0] for command in _INLINE.findall(text) if "..." not in command)


def _problem(line: str) -> str | None:
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        return None if re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE) else "no such target"
    known = dict(commands())
    depth = max(depth for depth in range(len(words) + 1) if " ".join([program, *words[:depth]]) in known)
    command, rest = known[" ".join([program, *words[:depth]])].command, words[depth:]
    if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        return f"{command.name} has no command {rest[0]}"
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    return next((word for word in rest if word.startswith("-") and word.partition("=")[0] not in options), None)


def test_the_help_in_the_readme_is_what_is_printed() -> None:
    block = next(block for block in _BLOCK.findall(README.read_text()) if block.startswith("$ tenantry --help\n"))
    printed = CliRunner().invoke(tenantry, ["--help"], prog_name="tenantry").output
    assert block.removeprefix("$ tenantry --help\n").rstrip() == printed.rstrip()


def test_news_fragments_are_of_kinds_that_exist() -> None:
    kinds = {"security", "removal", "feature", "fix", "doc"}
    found = [path.name for path in (ROOT / "news").iterdir() if path.name != ".gitignore"]
    assert [name for name in found if not re.fullmatch(rf"\+[\w-]+\.({'|'.join(kinds)})\.md", name)] == []

"""The reference page says what the types say."""

from __future__ import annotations

import re
from pathlib import Path

from tenantry.api.crds import KINDS
from tenantry.api.reference import fields_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "fields.md"


def test_the_committed_page_is_the_generated_one() -> None:
    """Where it is not, tenantry.api.reference says how to write it anew."""
    assert PAGE.read_text() == fields_page()


def test_every_link_has_its_section() -> None:
    page = fields_page()
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", page, re.MULTILINE)}

    assert set(re.findall(r"\(#(\w+)\)", page)) <= anchors


def test_every_kind_has_a_section_and_every_type_only_one() -> None:
    headings = re.findall(r"^#{2,3} (\w+)$", fields_page(), re.MULTILINE)

    assert {kind.name for kind in KINDS} <= set(headings)
    assert len(headings) == len(set(headings))


def test_a_row_says_type_default_and_limits() -> None:
    assert (
        '| `hostnameCollisionScope` | string | `"Disabled"` | Where a host and path may be used by one Ingress only. '
        "One of `Cluster`, `Tenant`, `Namespace`, `Disabled`. |"
    ) in fields_page().splitlines()

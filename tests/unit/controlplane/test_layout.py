"""Where files are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tenantry.controlplane.layout import Layout, default_folder

LAYOUT = Layout(Path("/cp"))
NAMES = st.text(min_size=1, max_size=64)
GROUPS = st.lists(NAMES, max_size=3)


def test_a_user_file_says_whose_it_is() -> None:
    assert LAYOUT.user("alice", ("b", "a.dev")) == Path("/cp/users/alice@a.dev+b.yaml")
    assert LAYOUT.user("alice", ()) == Path("/cp/users/alice.yaml")


@given(NAMES, GROUPS, NAMES, GROUPS)
@example("a@b", [], "a", ["b"])
@example("a", ["b+c"], "a", ["b", "c"])
@example("a", ["b", "c"], "a+c", ["b"])
@example("a:b", [], "a_b", [])
@example("a@", [], "a", [])
def test_two_users_never_share_a_file(one: str, its: list[str], other: str, others: list[str]) -> None:
    assume((one, set(its)) != (other, set(others)))
    assert LAYOUT.user(one, its) != LAYOUT.user(other, others)


@given(NAMES, GROUPS)
def test_no_name_leads_out_of_the_folder(name: str, groups: list[str]) -> None:
    path = LAYOUT.user(name, groups)
    assert path.parent == Path("/cp/users")
    assert not path.name.startswith(".")
    assert len(path.name) <= 100


def test_the_default_folder_is_below_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_folder("one") == Path("/data/tenantry/clusters/one")


def test_folders_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "cp")
    layout.create()
    assert {path.stat().st_mode & 0o777 for path in (layout.folder, layout.pki, layout.logs)} == {0o700}

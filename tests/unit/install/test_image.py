"""The image: what goes in, and as whom it runs."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
CONTAINERFILE = (ROOT / "Containerfile").read_text()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that picks what goes in."""
    spec = importlib.util.spec_from_file_location("runtime_requirements", ROOT / "tools" / "runtime_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_as_nobody_special() -> None:
    last_stage = CONTAINERFILE[CONTAINERFILE.rindex("\nFROM ") :]

    assert re.findall(r"(?m)^USER (.*)$", last_stage) == ["1002:1002"]
    assert re.findall(r"(?m)^ENTRYPOINT (.*)$", last_stage) == ['["tenantry"]']


def test_all_that_it_copies_passes_the_ignore_file() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"(?m)^COPY (?!--from)(.*)$", CONTAINERFILE) for name in line.split()[:-1]}

    assert copied == kept
    assert [name for name in kept - {"README.md"} if not (ROOT / name).exists()] == []


def test_only_what_runs_goes_in(script: ModuleType) -> None:
    lock, project = (ROOT / "requirements.lock").read_text(), (ROOT / "pyproject.toml").read_text()
    direct = {re.split(r"[><=\[ ]", each)[0].lower() for each in tomllib.loads(project)["project"]["dependencies"]}

    kept = dict(script.entries(script.runtime_lock(lock, project)))

    assert direct <= kept.keys()
    assert not {"pytest", "mypy", "ruff", "hatchling", "hypothesis"} & kept.keys()
    assert [name for name, entry in kept.items() if "--hash=sha256:" not in entry] == []
    assert all(lock.count(entry) == 1 for entry in kept.values())

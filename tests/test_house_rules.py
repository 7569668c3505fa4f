"""The rules of the house that no tool knows."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CODE = sorted(path for folder in ("src", "tests", "bench", "tools") for path in (ROOT / folder).rglob("*.py"))

LINES_A_FILE = 400
LINES_A_TEST_FILE = 600
LINES_A_FUNCTION = 50
PARAMETERS = 6

# Spelled so that this file does not break its own rule.
MACHINES = ("/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/proto", "/fa" + "rm/")
REGISTRIES = ("py" + "pi.org", "pythonhosted" + ".org", "proxy.golang" + ".org", "sum.golang" + ".org")
INDEX_OPTIONS = ("--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host")
FORBIDDEN = re.compile("|".join(map(re.escape, (*MACHINES, *REGISTRIES, *INDEX_OPTIONS))))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    """All files that a clone has; the sums of Go modules hold hashes alone."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return CODE  # An unpacked archive has no history; its code is checked all the same.
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def functions() -> Iterator[tuple[str, Function]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{name_of(path)}:{node.lineno} {node.name}", node


def body_lines(function: Function) -> int:
    """Lines of code from the signature's end on; a docstring may take the room it needs."""
    body = function.body
    first = body[1] if ast.get_docstring(function) and len(body) > 1 else body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def is_table(function: Function) -> bool:
    """Say whether it decides nothing and only builds a literal, which is as long as it has rows."""
    return not any(isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.Match) for node in ast.walk(function))


def is_command(function: Function) -> bool:
    """Say whether click calls it: its parameters are the options that users see."""
    return any(".command(" in ast.unparse(node) + "(" for node in function.decorator_list)


def parameters(function: Function) -> list[str]:
    """All but self and what has a name and a default at every call."""
    arguments = function.args
    needed = [name for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if not default]
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *needed)]
    return [name for name in names if name not in {"self", "cls"}]


def test_files_are_short() -> None:
    limits = {path: LINES_A_TEST_FILE if path.is_relative_to(ROOT / "tests") else LINES_A_FILE for path in CODE}
    lengths = {path: len(path.read_text().splitlines()) for path in CODE}
    assert {name_of(path): lines for path, lines in lengths.items() if lines > limits[path]} == {}


def test_functions_are_short() -> None:
    lengths = {name: body_lines(function) for name, function in functions() if not is_table(function)}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_A_FUNCTION} == {}


def test_functions_take_few_parameters() -> None:
    counts = {name: len(parameters(function)) for name, function in functions() if not is_command(function)}
    assert {name: count for name, count in counts.items() if count > PARAMETERS} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_says_in_one_sentence_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "it has no docstring"
    assert docstring.splitlines()[0].endswith((".", ":", "?")), docstring.splitlines()[0]


def test_packages_hold_a_docstring_only() -> None:
    """Whoever imports a thing says where it lives."""
    fuller = {
        name_of(path): len(ast.parse(path.read_text()).body)
        for path in SOURCES
        if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) > 1
    }
    assert fuller == {}


def test_nothing_names_a_machine_or_a_package_index() -> None:
    found = {}
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if hit := FORBIDDEN.search(text):
            found[name_of(path)] = hit[0]
    assert found == {}


def test_the_lock_pins_every_dependency_by_hash() -> None:
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_tests_stand_beside_no_package_file() -> None:
    """Test files are imported by their path, so no package is needed."""
    assert [name_of(path) for path in (ROOT / "tests").rglob("__init__.py")] == []

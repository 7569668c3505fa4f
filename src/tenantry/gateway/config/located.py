"""YAML with places: plain values, and the line and column of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import yaml

from tenantry.gateway.config.problems import Fault, Path, Problem, field_text

VALUES_AT_MOST: Final = 100_000
"""Aliases of aliases make short files endless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """One document."""

    value: Any
    places: Mapping[Path, tuple[int, int]]
    """Line and column, from 1, of each key or list item that is there."""
    faults: tuple[Fault, ...] = ()

    def problem(self, fault: Fault) -> Problem:
        """Return *fault* where it stands; what is absent is told at the nearest that is there."""
        path = fault.path
        while path and path not in self.places:
            path = path[:-1]
        line, column = self.places.get(path, (1, 1))
        return Problem(
            line=line,
            column=column,
            field=field_text(fault.path),
            what=fault.what,
            fix=fault.fix,
            is_warning=fault.is_warning,
        )


class YamlError(ValueError):
    """The text is no YAML document."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def read_yaml(text: str) -> Located:
    """Return the one document in *text*.

    Raises:
        YamlError: It is none, or there are several.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        raise YamlError(_no_yaml(what, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(_no_yaml(str(error) or "it is too deep", 1, 1)) from error
    if node is None:
        return Located(value={}, places={(): (1, 1)})
    walk = _Walk()
    try:
        value = walk.value_of(node, ())
    except RecursionError as error:
        raise YamlError(_no_yaml("a value holds itself", 1, 1)) from error
    return Located(value=value, places=walk.places, faults=tuple(walk.faults))


def _no_yaml(what: str, line: int, column: int) -> Problem:
    fix = "write one YAML document, indented by spaces"
    return Problem(line=line, column=column, field="", what=f"this is no YAML ({what})", fix=fix)


class _Walk:
    """One pass over the nodes."""

    def __init__(self) -> None:
        self.places: dict[Path, tuple[int, int]] = {}
        self.faults: list[Fault] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def value_of(self, node: yaml.Node, path: Path) -> Any:
        """Return the plain value of *node*."""
        self.places.setdefault(path, _place(node))
        if len(self.places) > VALUES_AT_MOST:
            raise YamlError(_no_yaml(f"more than {VALUES_AT_MOST} values", 1, 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            below = (*path, key)
            if key in found:
                first = self.places[below][0]
                self.places[below] = _place(key_node)
                fault = Fault(path=below, what=f"it is set twice, first in line {first}", fix="keep one of the two")
                self.faults.append(fault)
            else:
                self.places[below] = _place(key_node)
                found[key] = self.value_of(child, below)
        return found

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = f"{node.value!r} can't be read as {node.tag.rpartition(':')[2]}"
            self.faults.append(Fault(path=path, what=f"{what} ({error})", fix="put text in quotes"))
            return None
        # A host or a name that looks like a date was meant as text.
        return node.value if isinstance(value, date | bytes) else value


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1

"""Finds the stable tokens (reasons) that the code uses, by reading its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Final

import tenantry
from tenantry.tenancy.views import ClassKind

SOURCE: Final = Path(tenantry.__file__).parent

_CLASSES: Final = tuple(str(kind) for kind in ClassKind)
_FILLED: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("policies", "noun.capitalize()"): ("Label", "Annotation"),
    ("services", "noun"): ("Label", "Annotation"),
    ("services", "kind"): ("NodePort", "ExternalName", "LoadBalancer"),
    ("nodes", "noun.capitalize()"): ("Label", "Annotation"),
    ("nodes", "noun"): ("Label", "Annotation"),
    ("classes", "kind"): _CLASSES,
    ("defaults", "ClassKind.PRIORITY"): (str(ClassKind.PRIORITY),),
}
"""What the variable parts of tokens can be, by module and expression."""


class UnknownPartError(Exception):
    """A token is put together from something that ``_FILLED`` does not know."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of the functions that were asked for."""

    module: ModuleType
    node: ast.Call
    name: str

    def argument(self, keyword: str, position: int | None = None) -> tuple[str, ...]:
        """Return what the argument can be; nothing where it is not there, or is handed through."""
        node = next((each.value for each in self.node.keywords if each.arg == keyword), None)
        if node is None and position is not None and len(self.node.args) > position:
            node = self.node.args[position]
        return () if node is None else texts(node, self.module)


def calls(folders: tuple[str, ...], names: frozenset[str]) -> Iterator[Call]:
    """Yield all calls of functions *names* in *folders*, in the order of the files."""
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            module = _module(path)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in names:
                    yield Call(module, node, _name(node.func))


def returned_pairs(module: ModuleType) -> Iterator[str]:
    """Yield the first text of each tuple of texts that a function of *module* returns."""
    assert module.__file__
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
            yield from texts(node.value.elts[0], module)


def texts(node: ast.expr, module: ModuleType) -> tuple[str, ...]:
    """Return what the expression *node* can be: a literal, a constant of *module*, or a text with parts filled in.

    Raises:
        UnknownPartError: It has a part that is not known.
    """
    match node:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.Name(id=name):
            value = getattr(module, name, None)
            return (value,) if isinstance(value, str) else ()
        case ast.IfExp(body=body, orelse=orelse):
            return (*texts(body, module), *texts(orelse, module))
        case ast.JoinedStr(values=values):
            where = module.__name__.rpartition(".")[2]
            return tuple("".join(parts) for parts in product(*(_parts(value, where) for value in values)))
        case _:
            return ()


def _parts(node: ast.expr, where: str) -> tuple[str, ...]:
    match node:
        case ast.Constant(value=str(text)):
            return (text,)
        case ast.FormattedValue(value=value) if (where, ast.unparse(value)) in _FILLED:
            return _FILLED[where, ast.unparse(value)]
        case _:
            raise UnknownPartError(f"say in tools/reference/tokens.py what {ast.unparse(node)} can be in {where}")


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _module(path: Path) -> ModuleType:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))

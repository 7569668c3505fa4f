"""What the docstrings of the API types say, for CRD descriptions and the reference page.

Texts come on one line, with literals in single backticks.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from textwrap import dedent

from tenantry.foundation.codec import Model

_REQUIREMENTS = re.compile(r" \((?:spec [0-9]|[A-Z]{1,3}-[0-9])[^)]*\)")
"""Numbers of the specification, which only developers know."""


def struct_doc(struct: type[Model]) -> str:
    """Return the docstring of *struct* on one line; empty where it has none of its own."""
    return _one_line(struct.__dict__.get("__doc__") or "")


@cache
def field_docs(struct: type[Model]) -> Mapping[str, str]:
    """Return the docstring of each field of *struct* and its bases that has one, by Python name.

    Read from the source: Python keeps no docstrings of fields.
    """
    docs: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, Model) and base is not Model:
            docs.update(_declared(base))
    return docs


def _declared(struct: type[Model]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(dedent(inspect.getsource(struct))).body
    assert isinstance(definition, ast.ClassDef)
    for statement, following in pairwise(definition.body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _one_line(text)
            case _:
                pass


def _one_line(text: str) -> str:
    return _REQUIREMENTS.sub("", " ".join(inspect.cleandoc(text).split())).replace("``", "`")

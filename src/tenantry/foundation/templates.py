"""The small template language of rules and metadata: ``{{ path }}`` and nothing else.

A leading dot is optional, so Go's ``{{ .tenant.metadata.name }}`` and the short
``{{tenant.name}}`` both work.  Keys that no path can hold are asked for as in Go:
``{{ index .namespace.metadata.labels "acme.io/env" }}``.  What is missing is an error, never
a literal (spec 13.18).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

_OPEN: Final = "{{"
_CLOSE: Final = "}}"
_NAMES: Final = r"\.?([A-Za-z_][-A-Za-z0-9_]*(?:\.[A-Za-z0-9_][-A-Za-z0-9_]*)*)"
_PATH: Final = re.compile(rf"\s*{_NAMES}\s*")
_INDEX: Final = re.compile(rf'\s*index\s+{_NAMES}((?:\s+"[^"\\]*")+)\s*')
_KEY: Final = re.compile(r'"([^"]*)"')

Path = tuple[str, ...]
"""Steps: keys of mappings."""


class TemplateError(ValueError):
    """The template can't be rendered: its syntax, or a key that is not there."""


def is_template(text: str) -> bool:
    """Return whether *text* has any action."""
    return _OPEN in text


def render(text: str, context: Mapping[str, object]) -> str:
    """Return *text* with every action replaced by what its path leads to in *context*.

    A path that ends at an object prints the object's name (``name``, else
    ``metadata.name``): ``{{ namespace }}``.  Numbers and booleans print as in JSON.

    Raises:
        TemplateError: A key is missing or null, the path ends at a list or a nameless
            object, or the action is no path.
    """
    if _OPEN not in text:
        return text
    return _replaced(text, lambda path: value_at(path, context))


def value_at(path: Path, context: Mapping[str, object]) -> str:
    """Return what *path* leads to in *context*, printed; raise TemplateError as :func:`render`."""
    return _printed(".".join(path), _looked_up(path, context))


def fast_render(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with every action replaced by the value of its whole path: ``tenant.name``, ``namespace``.

    Raises:
        TemplateError: *values* lacks the path, or the action is no path.
    """
    if _OPEN not in text:
        return text

    def value(steps: Path) -> str:
        path = ".".join(steps)
        if path not in values:
            raise TemplateError(f"{{{{{path}}}}} is unknown: there are {', '.join(sorted(values))}")
        return values[path]

    return _replaced(text, value)


def template_problem(text: str) -> str | None:
    """Return what is wrong with the syntax of *text*, or None; keys are not looked up."""
    try:
        template_paths(text)
    except TemplateError as error:
        return str(error)
    return None


def template_paths(text: str) -> tuple[Path, ...]:
    """Return the paths that *text* asks for, in order.

    Raises:
        TemplateError: The syntax is wrong.
    """
    return tuple(path for _, path in _pieces(text) if path is not None)


def _replaced(text: str, value: Callable[[Path], str]) -> str:
    return "".join(literal if path is None else literal + value(path) for literal, path in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, Path | None]]:
    """Yield each literal with the path of the action after it; None after the last."""
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        end = text.find(_CLOSE, start)
        if end < 0:
            raise TemplateError(f"{text!r} opens an action with {_OPEN} and does not close it with {_CLOSE}")
        action = text[start + len(_OPEN) : end]
        yield text[position:start], _path(action)
        position = end + len(_CLOSE)
    yield text[position:], None


def _path(action: str) -> Path:
    if match := _PATH.fullmatch(action):
        return tuple(match[1].split("."))
    if match := _INDEX.fullmatch(action):
        return (*match[1].split("."), *_KEY.findall(match[2]))
    raise TemplateError(f"{{{{{action}}}}} is not supported: write a path as {{{{ .tenant.metadata.name }}}}")


def _looked_up(path: Path, context: Mapping[str, object]) -> object:
    value: object = context
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            raise TemplateError(f"{{{{{'.'.join(path)}}}}} has no value: there is no {step!r}")
        value = value[step]
    return value


def _printed(path: str, value: object) -> str:
    if isinstance(value, Mapping):
        metadata = value.get("metadata")
        value = value.get("name", metadata.get("name") if isinstance(metadata, Mapping) else None)
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            raise TemplateError(f"{{{{{path}}}}} has no value that can be printed")

"""Tables, JSON and YAML on standard output, the way kubectl's users expect them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from tenantry.foundation.codec import to_plain
from tenantry.install.text import yaml_stream, yaml_text

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """Add ``-o table|json|yaml`` to a command, as its parameter *output*."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="How to print the result.",
    )(command)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return left-aligned columns, three spaces apart, headings in capitals."""
    cells = [[heading.upper() for heading in headings], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def print_value(value: object, output: str) -> None:
    """Print plain *value* as JSON or YAML."""
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    else:
        click.echo(yaml_text(value), nl=False)


def print_documents(documents: Sequence[dict[str, Any]], output: str) -> None:
    """Print Kubernetes objects: a YAML stream, or one JSON List."""
    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)}, indent=2))
    else:
        click.echo(yaml_stream(documents), nl=False)


def plain(value: object) -> Any:
    """Return *value* (dataclasses, enums, tuples) as plain JSON, its keys in camelCase as Kubernetes writes them."""
    return _camel(to_plain(value))


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel_key(key): _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def _camel_key(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def age(created: str | None, now: datetime) -> str:
    """Return how long ago *created* (RFC 3339) was, as kubectl says it: ``5d``, ``3h``, ``40s``."""
    try:
        seconds = int((now - datetime.fromisoformat(created or "")).total_seconds())
    except ValueError:
        return "unknown"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"

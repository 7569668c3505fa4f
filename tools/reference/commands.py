"""The page of commands: the help text of each, as it prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from reference.markdown import HOW
from tenantry.cli.main import tenantry

WIDTH: Final = 100
_HEAD: Final = f"""\
# Commands

This page is for whoever uses the command line, as `tenantry ...` or `kubectl tenantry ...`.
{HOW}

"""


def commands() -> Iterator[tuple[str, click.Context]]:
    """Yield each command with a context of it, groups before what is in them."""
    yield from _below(tenantry, click.Context(tenantry, info_name="tenantry", **tenantry.context_settings), "tenantry")


def _below(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, click.Context]]:
    yield path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _below(child, click.Context(child, info_name=name, parent=context), f"{path} {name}")


def help_text(context: click.Context) -> str:
    """Return what ``--help`` prints on a terminal of ``WIDTH`` columns."""
    context.terminal_width = WIDTH
    context.max_content_width = WIDTH
    return context.get_help()


def commands_page() -> str:
    """Return the page."""
    return _HEAD + "\n".join(f"## {path}\n```text\n{help_text(context)}\n```\n" for path, context in commands())

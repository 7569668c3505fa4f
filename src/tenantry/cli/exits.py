"""Exit codes of the command line, the same for every command."""

from __future__ import annotations

from enum import IntEnum

from tenantry.foundation.errors import TenantryError, UnavailableError
from tenantry.kube.errors import ApiError


class ExitCode(IntEnum):
    """What a command's end means to a script."""

    DONE = 0
    WRONG = 1
    """Something is wrong; the text says what."""
    USAGE = 2
    """The command line is wrong (click's own code)."""
    UNREACHABLE = 3
    REFUSED = 4
    """The API server answered, and refused."""


def exit_code_of(error: TenantryError) -> ExitCode:
    """Return the exit code for an error that ends a command."""
    if isinstance(error, UnavailableError):
        return ExitCode.UNREACHABLE
    if isinstance(error, ApiError):
        return ExitCode.REFUSED
    return ExitCode.WRONG

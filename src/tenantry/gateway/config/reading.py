"""Reads the configuration file: settings that may be used, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tenantry.foundation.codec import from_plain
from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.config.conversion import settings_of
from tenantry.gateway.config.files import file_faults
from tenantry.gateway.config.located import Located, YamlError, read_yaml
from tenantry.gateway.config.meaning import faults
from tenantry.gateway.config.model import GatewayConfiguration
from tenantry.gateway.config.problems import (
    ConfigurationProblems,
    Fault,
    Problem,
    errors_only,
    field_text,
)
from tenantry.gateway.config.shape import checked_shape
from tenantry.gateway.settings import GatewaySettings

FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a configuration says, and what is wrong with it."""

    settings: GatewaySettings | None
    """None where something is wrong that is no warning."""
    problems: tuple[Problem, ...]
    """In the order of the file."""


def read_settings(path: Path) -> GatewaySettings:
    """Return the settings in the file *path*.

    Raises:
        ConfigurationProblems: They can't be used; it has all problems.
        ConfigurationError: The file can't be read.
    """
    checked = check_file(path)
    if checked.settings is None:
        raise ConfigurationProblems(str(path), checked.problems)
    return checked.settings


def check_file(path: Path, *, now: datetime | None = None) -> Checked:
    """Return what is in the file *path*, its certificates judged at *now* (None: as it is).

    Raises:
        ConfigurationError: The file can't be read.
    """
    text = read_text(path)
    return check_text(text, folder=path.parent, now=now or datetime.now(tz=UTC))


def read_text(path: Path) -> str:
    """Return what is in the file *path*; raise ConfigurationError where it can't be read."""
    try:
        with path.open("rb") as opened:
            data = opened.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than {FILE_BYTES} bytes: it is no configuration")
        return data.decode()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read ({error.strerror or error}): name a readable file") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no UTF-8 text (at byte {error.start})") from error


def check_text(text: str, *, folder: Path, now: datetime | None) -> Checked:
    """Return what *text* says.

    Args:
        text: The file's content.
        folder: From where on relative paths are looked for.
        now: When certificates are judged; None leaves all files unread that it names.
    """
    try:
        document = read_yaml(text)
    except YamlError as error:
        return Checked(settings=None, problems=(error.problem,))
    plain, shape = checked_shape(document.value, GatewayConfiguration)
    first = [*document.faults, *shape]
    settings = settings_of(from_plain(plain, GatewayConfiguration), lambda name: folder / Path(name).expanduser())
    found = [*first, *_not_following(first, faults(settings))]
    if now is not None:
        found += _not_following(first, file_faults(settings, now))
    problems = _in_order(document, found)
    return Checked(settings=None if errors_only(problems) else settings, problems=problems)


def checked_settings(settings: GatewaySettings, source: str, *, now: datetime | None) -> GatewaySettings:
    """Return *settings* that came from no file, such as flags, if they may be used.

    Raises:
        ConfigurationProblems: They can't; *source* says where they are from.
    """
    found = [*faults(settings), *(file_faults(settings, now) if now is not None else ())]
    problems = tuple(_placeless(each) for each in found)
    if errors_only(problems):
        raise ConfigurationProblems(source, problems)
    return settings


def _placeless(fault: Fault) -> Problem:
    return Problem(
        line=0, column=0, field=field_text(fault.path), what=fault.what, fix=fault.fix, is_warning=fault.is_warning
    )


def _not_following(first: Iterable[Fault], later: Iterable[Fault]) -> list[Fault]:
    """Return those of *later* that are about values which were right by themselves.

    In place of a wrong value stands its default, and what follows from that would mislead.
    """
    wrong = [each.path for each in first]
    return [each for each in later if not any(_is_part(each.path, path) for path in wrong)]


def _is_part(path: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _in_order(document: Located, found: Iterable[Fault]) -> tuple[Problem, ...]:
    problems = (document.problem(each) for each in found)
    return tuple(sorted(problems, key=lambda each: (each.line, each.column, each.field)))

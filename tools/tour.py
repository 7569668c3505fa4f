"""A told walk through the product: each step says what it does, does it, and checks what came of it."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tenantry.testing.platform import Completed, Platform

PATIENCE_SECONDS: Final = 60.0
_BOLD, _DIM, _GREEN, _RED, _END = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m")


class StepFailedError(Exception):
    """A step came out otherwise than it should."""


def say(text: str = "", style: str = "") -> None:
    """Print *text*, in *style* where a person looks at it."""
    colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"{style}{text}{_END}" if style and colours else text, flush=True)  # a demo talks


@dataclass(slots=True)
class Tour:
    """The teller: runs kubectl as somebody, and fails where the outcome is wrong."""

    platform: Platform
    users: dict[str, Path]
    _step: int = 0
    _warned: set[str] = field(default_factory=set)

    def step(self, text: str) -> None:
        """Begin a step."""
        self._step += 1
        say()
        say(f"{self._step}. {text}", _BOLD)

    async def do(self, who: str, *arguments: str, stdin: str | None = None) -> Completed:
        """Run kubectl as *who*, show command and outcome; it must succeed."""
        done = await self._run(who, arguments, stdin)
        if done.code != 0:
            raise StepFailedError(f"this should have worked, but ended with {done.code}")
        return done

    async def refused(self, who: str, *arguments: str, because: str, stdin: str | None = None) -> None:
        """Run kubectl as *who*; it must be refused with a message that contains *because*."""
        done = await self._run(who, arguments, stdin)
        if done.code == 0:
            raise StepFailedError("this should have been refused, but went through")
        if because not in done.output:
            raise StepFailedError(f"this should have been refused because of {because!r}")
        self.check("refused, as it should be")

    async def shows(self, *arguments: str, expect: Callable[[Any], bool], what: str, who: str = "admin") -> None:
        """Wait until what ``kubectl get ... -o yaml`` prints satisfies *expect*."""
        started = time.monotonic()

        async def is_so() -> bool:
            done = await self.platform.kubectl(*arguments, "-o=yaml", user=self.users.get(who), check=False)
            return done.code == 0 and expect(yaml.safe_load(done.stdout))

        await self.until(is_so, what)
        self.check(f"{what} ({time.monotonic() - started:.1f} s)")

    async def lists(self, who: str, *arguments: str, names: Collection[str]) -> None:
        """Run kubectl as *who*, show the table; its first column must be *names*, each any number of times."""
        done = await self.do(who, *arguments)
        seen = {line.split()[0] for line in done.stdout.splitlines()[1:]}
        if seen != set(names):
            raise StepFailedError(f"this should have shown {', '.join(sorted(names))}")
        self.check(f"{', '.join(sorted(names))}, and no more")

    async def watch(self, who: str, *arguments: str) -> Watch:
        """Begin a kubectl command that goes on; its caller stops it."""
        self.show_command(who, arguments)
        process = await asyncio.create_subprocess_exec(
            *(str(self.platform.kubectl_program), f"--kubeconfig={self.users[who]}"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return Watch(self, process)

    async def until(self, is_so: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until *is_so*."""
        with _patience(what):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await is_so():  # noqa: ASYNC110  # nothing to wait on but the cluster itself
                    await asyncio.sleep(0.2)

    def check(self, text: str) -> None:
        """Tell of something that was checked and is right."""
        say(f"   ✔ {text}", _GREEN)

    def show_command(self, who: str, arguments: Sequence[str]) -> None:
        """Tell what *who* types."""
        say(f"   {who}$ kubectl {' '.join(_shown(argument) for argument in arguments)}", _DIM)

    async def _run(self, who: str, arguments: tuple[str, ...], stdin: str | None) -> Completed:
        self.show_command(who, arguments)
        if stdin is not None:
            say(f"       < {stdin}", _DIM)
        done = await self.platform.kubectl(*arguments, user=self.users.get(who), stdin=stdin, check=False)
        for line in done.output.splitlines():
            # Each warning once: an edit brings all of them again.
            if line and not (line.startswith("Warning:") and line in self._warned):
                say(textwrap.indent(_wrapped(line), "     "))
            self._warned.add(line)
        return done


@dataclass(slots=True)
class Watch:
    """A kubectl that goes on, and what it printed."""

    tour: Tour
    process: asyncio.subprocess.Process

    async def sees(self, event: str, name: str) -> None:
        """Wait for a line that tells *event* of the object *name*, and show it."""
        started = time.monotonic()
        with _patience(f"a line with {event} and {name}"):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while [event, name] != (line := await self._line()).split()[:2]:
                    if not line:
                        raise StepFailedError("the watch ended, and should go on")
        self.tour.check(f"the watch shows: {line.rstrip()} ({time.monotonic() - started:.1f} s)")

    async def ends(self, *, within_seconds: float) -> None:
        """Wait until it ended by itself."""
        started = time.monotonic()
        with _patience("the watch ended"):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await self._line():
                    pass
        seconds = time.monotonic() - started
        if seconds > within_seconds:
            raise StepFailedError(f"the watch ended after {seconds:.1f} s")
        self.tour.check(f"the open watch ended ({seconds:.1f} s)")

    async def stop(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def _line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()


@contextmanager
def _patience(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise StepFailedError(f"not so after {PATIENCE_SECONDS:.0f} s: {what}") from None


def failed(error: Exception) -> None:
    """Tell why the tour ended early."""
    say(f"   ✘ {error}", _RED)


def _shown(argument: str) -> str:
    return f"'{argument}'" if any(character in argument for character in " {}*") else argument


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 112, subsequent_indent="  ") if len(line) > 116 else line

"""A program that runs beside a test: the lines it has said so far, and a way to speak to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

PATIENCE_SECONDS: Final = 30.0


class Running:
    """A running program; an async context manager over :meth:`started`."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output
        self._kept: list[str] | None = None

    @classmethod
    @asynccontextmanager
    async def started(cls, *command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Self]:
        """Run *command* while open, with *env* added to the environment."""
        # A file, not a pipe: nobody has to read it beside the test.
        with TemporaryDirectory() as folder, (Path(folder) / "output").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )
            running = cls(process, Path(output.name))
            try:
                yield running
            finally:
                running._kept = running.lines
                await running.stop()

    @property
    def lines(self) -> list[str]:
        """Every whole line on its standard output and error, in the order in which it came; also once it is over."""
        if self._kept is not None:
            return self._kept
        return self._output.read_text(errors="replace").split("\n")[:-1]

    async def until(self, is_wanted: Callable[[list[str]], bool], *, seconds: float = PATIENCE_SECONDS) -> list[str]:
        """Return all lines as soon as they satisfy *is_wanted*.

        Raises:
            AssertionError: They do not in time; with what was said.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_wanted(self.lines):  # noqa: ASYNC110  # a file tells nobody that it grows
                    await asyncio.sleep(0.02)
        lines = self.lines
        if not is_wanted(lines):
            raise AssertionError("\n".join(["waited in vain; it has said:", *lines]))
        return lines

    async def said(self, text: str, *, times: int = 1, seconds: float = PATIENCE_SECONDS) -> list[str]:
        """Return all lines as soon as *text* is in so many of them."""
        return await self.until(lambda lines: sum(text in line for line in lines) >= times, seconds=seconds)

    async def write(self, text: str) -> None:
        """Write to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(text.encode())
            await self._process.stdin.drain()

    def close(self) -> None:
        """End its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def ended(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        """Return its exit code as soon as it has ended by itself."""
        return await asyncio.wait_for(self._process.wait(), seconds)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def stop(self) -> None:
        """End it, if it has not ended yet."""
        self.close()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

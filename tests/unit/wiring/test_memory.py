"""Memory is looked after beside the work, without getting in its way."""

from __future__ import annotations

import asyncio
import importlib
import sys
from asyncio import sslproto
from typing import Any

import pytest

from tenantry.foundation.errors import ConfigurationError
from tenantry.wiring import memory


async def test_what_the_work_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ConfigurationError, match="taken"):
        async with memory.memory_given_back():
            raise ConfigurationError("the port is taken")


async def test_nothing_runs_on_afterwards() -> None:
    async with memory.memory_given_back():
        await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("resident", "looks"),
    [
        # Before and after a trim, twice; one look between them finds no growth.
        pytest.param((100, 80, 81, 90, 85), 100, id="when it grew"),
        pytest.param((100, 80, 80, 80, 70), 3, id="now and then"),
    ],
)
async def test_memory_is_given_back(resident: tuple[int, ...], looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter(resident)
    trims: list[int] = []
    enough = asyncio.Event()

    def trim(padding: int) -> int:
        trims.append(padding)
        if len(trims) == 2:
            enough.set()
        return 1

    monkeypatch.setattr(memory, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(memory, "_LOOKS", looks)
    monkeypatch.setattr(memory, "_resident_pages", lambda: next(left, 0))
    monkeypatch.setattr(memory, "_trim", lambda: trim)
    async with memory.memory_given_back():
        await enough.wait()

    assert (trims, list(left)) == ([0, 0], [])


def test_what_is_needless_is_imported_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_NEEDLESS", ("this", "sys"))
    with memory.lean_imports():
        with pytest.raises(ImportError):
            importlib.import_module("this")
        loaded = importlib.import_module("sys")  # What is there already stays.

    assert ("this" in sys.modules, loaded) == (False, sys)


def test_a_library_without_the_call_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())

    assert memory._trim() is None


def test_tls_buffers_are_made_small_and_never_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol: Any = sslproto.SSLProtocol
    monkeypatch.setattr(protocol, "max_size", 256 * 1024)
    memory.use_little_memory()
    small = protocol.max_size
    monkeypatch.setattr(protocol, "max_size", 1024)
    memory.use_little_memory()

    assert (small, protocol.max_size) == (8 * 1024, 1024)

"""Room for workers' numbers: taken whole or not at all, and given back without what they counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

from tenantry.wiring.metrics_files import METRICS_FOLDER, SIZES, give_back_room, share_numbers, take_room


def test_files_have_blocks_for_all_that_is_written(tmp_path: Path) -> None:
    take_room(tmp_path, 7)

    found = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert {name: stat.st_size for name, stat in found.items()} == {f"{k}_7.db": size for k, size in SIZES.items()}
    assert [name for name, stat in found.items() if stat.st_blocks * 512 < stat.st_size] == []


def test_what_was_counted_stays_when_the_room_is_given_back(tmp_path: Path) -> None:
    take_room(tmp_path, 7)
    numbers: Any = MmapedDict(str(tmp_path / "counter_7.db"))  # type: ignore[no-untyped-call]  # it has no types
    numbers.write_value("reviews", 3.0, 0.0)
    numbers.close()

    give_back_room(tmp_path, 7)

    assert (tmp_path / "counter_7.db").stat().st_size == 4096
    stored: Any = MmapedDict
    values = stored.read_all_values_from_file(tmp_path / "counter_7.db")
    assert [(key, value) for key, value, *_ in values] == [("reviews", 3.0)]


def test_without_room_a_process_shares_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow."""
    code = (
        "import os, resource\n"
        "from tenantry.wiring.metrics_files import METRICS_FOLDER, share_numbers\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "told = share_numbers()\n"
        "print(METRICS_FOLDER in os.environ, 'not shown' in told)"
    )
    environment = {METRICS_FOLDER: str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), list(tmp_path.iterdir())) == ("False True", [])


def test_a_process_of_its_own_shares_with_nobody() -> None:
    assert share_numbers() is None

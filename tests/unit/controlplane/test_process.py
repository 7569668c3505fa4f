"""Processes that die with their parent, and stop when they are told."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tenantry.controlplane.process import Process, last_lines

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def wait_until(is_done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """A zombie is no running process: in a container, nobody may be there to reap it."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom tenantry.controlplane.process import Process\n"
        f"process = Process.start(['/bin/sleep', '60'], Path({str(tmp_path / 'log')!r}))\n"
        "print(process.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"/bin/sleep"))
        parent.kill()
    wait_until(lambda: not is_running(child))


def test_what_ignores_the_signal_is_stopped_by_force(tmp_path: Path) -> None:
    process = Process.start([sys.executable, "-c", STUBBORN], tmp_path / "log")
    wait_until(process.last_lines)
    process.stop(0.1)
    assert process.exit_code() == -9


def test_the_exit_code_and_the_last_lines_tell_how_it_ended(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    process = Process.start(["/bin/sh", "-c", "echo one; echo two >&2; exit 3"], tmp_path / "log")
    wait_until(lambda: process.exit_code() is not None)
    assert (process.exit_code(), process.last_lines()) == (3, ("one", "two"))


def test_the_last_lines_of_a_log_are_few_and_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n\n".join([*map(str, range(30)), "x" * 1000]))
    assert last_lines(log, 3) == ("28", "29", "x" * 400)
    assert last_lines(tmp_path / "none") == ()

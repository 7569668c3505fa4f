"""What a failed start tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.controlplane.errors import StartError


def test_a_failed_start_names_component_log_lines_and_the_next_step() -> None:
    error = StartError(
        "etcd", "it ended with exit code 1", Path("/cp/logs/etcd.log"), ("one", "no space left on device")
    )
    assert str(error) == (
        "etcd did not start: it ended with exit code 1\n"
        "  last lines of /cp/logs/etcd.log:\n"
        "    one\n"
        "    no space left on device\n"
        "  next: free some disk space, then start again"
    )


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("bind: address already in use", "another program took the port in between; start again"),
        ("Error: unknown flag: --x", "this version does not know a flag; use a version nearer the default"),
        ("anything else", "read the log named above, mend the cause, and start again; the data is kept"),
    ],
)
def test_the_next_step_follows_from_the_log(line: str, step: str) -> None:
    assert str(StartError("kwok", "it ended", Path("/l"), (line,))).endswith(f"  next: {step}")

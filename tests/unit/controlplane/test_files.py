"""Whole files, and locks that die with their holder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenantry.controlplane.files import is_locked, open_lock, try_lock, write_atomically


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", "content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_lock_is_gone_when_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys\nfrom pathlib import Path\nfrom tenantry.controlplane.files import open_lock, try_lock\n"
        "assert try_lock(open_lock(Path(sys.argv[1])))\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        holder.kill()
    assert not is_locked(path)


def test_shared_holders_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    descriptors = [open_lock(tmp_path / "lock") for _ in range(3)]
    assert try_lock(descriptors[0], shared=True)
    assert try_lock(descriptors[1], shared=True)
    assert not try_lock(descriptors[2])
    for descriptor in descriptors[:2]:
        os.close(descriptor)
    assert try_lock(descriptors[2])
    os.close(descriptors[2])

"""Room for the numbers that admission's workers keep in mapped files, taken before any is written.

prometheus_client maps files that have a size but no blocks: on a full disk, writing one more
number kills the process by SIGBUS, and the next one too.  So the blocks are taken first; a
worker that gets none keeps its numbers to itself.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own name for the variable; it reads it when it is imported."""
SIZES: Final = {"counter": 1 << 17, "gauge_livesum": 1 << 16, "gauge_livemax": 1 << 16, "histogram": 1 << 19}
"""Bytes by type, a few times what all endpoints and verdicts need."""
_LEAST_BYTES: Final = 1 << 12
"""What prometheus_client reads of a file in any case."""


def take_room(folder: Path, pid: int) -> None:
    """Make the files of the process *pid* in *folder*, with blocks for all that it will write.

    Raises:
        OSError: There is no room; nothing is left behind.
    """
    files = {folder / f"{kind}_{pid}.db": size for kind, size in SIZES.items()}
    try:
        for path, size in files.items():
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        for path in files:
            path.unlink(missing_ok=True)
        raise


def share_numbers() -> str | None:
    """Take room for this process, or have it share no numbers; return why, then.

    Call it before prometheus_client is imported.
    """
    folder = os.environ.get(METRICS_FOLDER)
    if folder is None:
        return None
    try:
        take_room(Path(folder), os.getpid())
    except OSError as error:
        del os.environ[METRICS_FOLDER]
        return f"this worker's metrics are not shown: {error}"
    return None


def give_back_room(folder: Path, pid: int) -> None:
    """Cut the files of the process *pid*, which has ended, to what it wrote; what counts stays counted."""
    for kind in SIZES:
        # A gauge of what lives no more is gone already.
        with suppress(OSError), (folder / f"{kind}_{pid}.db").open("r+b") as file:
            (used,) = struct.unpack("i", file.read(4))
            file.truncate(max(used, _LEAST_BYTES))

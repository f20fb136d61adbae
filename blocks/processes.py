"""Processes of this machine: which one a number means, and the end of a child with its parent. Needs Linux.

Start times are the kernel's ticks since boot, not psutil's seconds since 1970: these move when the clock is set, and
what is written down is compared by another process. Not here: what is started (deployments/up/processes.py).
"""

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def started(pid: int) -> int | None:
    """When process ``pid`` started, in clock ticks since boot, which tells it from a later one of the same number; None
    if there is none, or one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def end_with_parent(by: int, parent: int | None = None) -> None:
    """Let the kernel end this process by signal ``by`` when the one that started it ends, however that happens; at once
    where that was ``parent``, which has ended by now."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
        if parent is not None and os.getppid() != parent:
            os._exit(1)

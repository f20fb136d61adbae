"""Living processes, found by their environment, and killed. One that ends while it is looked at is left out, not an
error: nobody times another process's end."""

import contextlib
import os
import signal
from pathlib import Path


def environment(pid: int) -> list[str]:
    """The ``NAME=value`` of this process; none of one that has ended, also where nobody has asked for its exit code
    yet, or of another user's."""
    try:
        return [setting for setting in os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0") if setting]
    except OSError:
        return []


def living(setting: str) -> dict[int, str]:
    """pid → command line of every other process with this ``NAME=value`` in its environment."""
    found = {}
    for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
        if pid != os.getpid() and setting in environment(pid):
            with contextlib.suppress(OSError):
                found[pid] = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
    return found


def kill(*pids: int) -> None:
    """Kill these by SIGKILL, those that have not just ended by themselves."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

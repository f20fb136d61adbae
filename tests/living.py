"""Living processes, found by their environment, and killed. One that ends while it is looked at is left out, not an
error: nobody times another process's end."""

import contextlib
import os
import signal

import psutil


def environment(pid: int) -> list[str]:
    """The ``NAME=value`` of this process; none of one that has ended, also where nobody has asked for its exit code
    yet, or of another user's."""
    with contextlib.suppress(psutil.Error, OSError):
        return [f"{name}={value}" for name, value in psutil.Process(pid).environ().items()]
    return []


def living(setting: str) -> dict[int, str]:
    """pid → command line of every other process with this ``NAME=value`` in its environment."""
    found = {}
    for process in psutil.process_iter():
        if process.pid != os.getpid() and setting in environment(process.pid):
            with contextlib.suppress(psutil.Error):
                found[process.pid] = " ".join(process.cmdline())
    return found


def kill(*pids: int) -> None:
    """Kill these by SIGKILL, those that have not just ended by themselves."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

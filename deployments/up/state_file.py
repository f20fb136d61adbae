"""What runs in a state folder, written down by ``cogumi up``: one at a time, told from a later process of the same
number, swept up after a kill.

Not here: what is started and stopped (up.py), the processes (processes.py).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blocks.processes import started
from blocks.records import Record
from blocks.storage.home import home
from blocks.storage.whole_files import replace
from configs.errors import BadInput
from deployments.up import processes


class Running(Record):
    """A ``cogumi up``: its process, when that started (to tell it from a later one), the mark of all it starts, the
    API, its port for Prometheus."""

    pid: int
    started: float
    mark: str
    api: str
    metrics: int | None = None


def running() -> Running | None:
    """The ``cogumi up`` of this state folder, if its process is alive."""
    found = _read()
    return found if found is not None and started(found.pid) == found.started else None


def note(mark: str, api: str, metrics: int | None) -> Path:
    """Write down that this process is it; the note's path, to be removed at the end."""
    me, path = os.getpid(), _path()
    up = Running(pid=me, started=started(me) or 0, mark=mark, api=api, metrics=metrics)
    replace(path, up.model_dump_json().encode(), mode=0o600)
    return path


def sweep() -> bool:
    """End what a killed ``cogumi up`` of this state folder left; whether there was anything."""
    left = _read()
    if left is None:
        return False
    ended = processes.sweep(left.mark)
    _path().unlink(missing_ok=True)
    return ended > 0


@contextmanager
def only_one() -> Iterator[None]:
    """Two at once in one state folder would share a database. The kernel frees the lock when a process dies.

    Raises:
        BadInput: another one holds it.
    """
    handle = os.open(home() / "up.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadInput(
            f"another `cogumi up` is starting or stopping in {home()}; wait for it, or set COGUMI_HOME to another "
            "folder"
        ) from None
    finally:
        os.close(handle)


def _path() -> Path:
    return home() / "up.json"


def _read() -> Running | None:
    try:
        return Running.model_validate_json(_path().read_text())
    except (OSError, ValueError):
        return None

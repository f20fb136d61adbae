"""Locks between the processes of one machine. The kernel frees them when their holder dies, however it dies.

Not here: locks between machines; there is none, and none is needed (what two machines make of the same inputs is the
same).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.errors import BadInput


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; wait for whoever holds it. The file itself stays: it is nothing without its holder.

    Raises:
        BadInput: its folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise BadInput(
            f"cannot write to {path.parent}: {error.strerror}; set COGUMI_STORE or COGUMI_HOME to a writable place"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

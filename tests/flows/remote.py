"""Small flows that tests run on a work pool, in a process of a real worker's."""

import os
import signal
from pathlib import Path

from blocks.records import Record
from configs.errors import GateFailed
from flows.phase import phase


class Doubled(Record):
    number: int


@phase
def double(number: int) -> Doubled:
    return Doubled(number=2 * number)


@phase
def refuse(number: int) -> Doubled:
    raise GateFailed(f"gate test: value = {number}, must be >= 99")


@phase
def die_once(trace: str) -> Doubled:
    """Killed like a process that the kernel takes, the first time."""
    path = Path(trace)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Doubled(number=1)


@phase
def misplaced(number: int) -> Doubled:
    return Doubled(number=number)

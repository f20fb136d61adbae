"""Small flows that tests run on a work pool, in a process of a real worker's."""

import os
import signal
from pathlib import Path

from prefect import flow

from blocks.errors import GateFailed
from blocks.records import Record


class Doubled(Record):
    number: int


@flow
def double(number: int) -> Doubled:
    return Doubled(number=2 * number)


@flow
def refuse(number: int) -> Doubled:
    raise GateFailed(f"gate test: value = {number}, must be >= 99")


@flow
def die_once(trace: str) -> Doubled:
    """Killed like a process that the kernel takes, the first time."""
    path = Path(trace)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Doubled(number=1)


@flow
def misplaced(number: int) -> Doubled:
    return Doubled(number=number)

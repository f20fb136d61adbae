"""A pool of processes for work that holds the interpreter's lock. The processes die with the one that started them,
however it ends.

Not here: what they do.
"""

import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from blocks.processes import end_with_parent


def pool(workers: int) -> ProcessPoolExecutor:
    """Fresh interpreters: a copy of a process that runs threads (Prefect, torch) may hang."""
    return _Quiet(
        workers, mp_context=get_context("spawn"), initializer=end_with_parent, initargs=(signal.SIGKILL, os.getpid())
    )


class _Quiet(ProcessPoolExecutor):
    """Its processes, started at need, leave Ctrl-C to the one that started them, from their first moment: they inherit
    what is blocked."""

    def submit(self, *arguments: Any, **named: Any) -> "Future[Any]":
        """As its parent's."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(*arguments, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

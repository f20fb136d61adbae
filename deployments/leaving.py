"""How a command ends: what Prefect has still to send is sent, for a bounded time, then the run's own server and the process go.

Prefect alone waits at exit until everything is sent, for ever when its server is gone. Not here: what the exit code means (cli.py).
"""

import logging
import os
import signal
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path
from types import FrameType
from typing import NoReturn

DRAIN_SECONDS = 10.0
TERMINATED = 128 + signal.SIGTERM


def catch_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: what is open is closed; a second signal ends it at once."""
    signal.signal(signal.SIGTERM, _terminate)


def leave(code: int) -> NoReturn:
    """End this process with ``code``."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # from here on nothing is lost that a signal could save
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        logging.disable()  # the command has said how it ended; what Prefect says of a lost server adds nothing
        sent = drain()
    if "deployments.server" in sys.modules:
        from deployments.server import stop_temporary

        stop_temporary()
    if sent:
        sys.exit(code)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def drain() -> bool:
    """Send what Prefect has queued; false when that did not end in time."""
    if "prefect.events.worker" not in sys.modules:
        return True
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    deadline = time.monotonic() + DRAIN_SECONDS
    open_ = 0
    for worker in (EventsWorker, APILogWorker):
        done = worker.drain_all(timeout=max(0.0, deadline - time.monotonic()), at_exit=True)
        open_ += len(done[1]) if isinstance(done, tuple) else 0
    return open_ == 0


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    raise SystemExit(TERMINATED)

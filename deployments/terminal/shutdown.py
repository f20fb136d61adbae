"""How a command ends: what Prefect has still to send is sent, for a bounded time, then the run's own server and the
process go.

Prefect alone waits at exit until everything is sent, for ever when its server is gone. Not here: what the exit code
means (cli.py), and signals before the work begins (signals.py).
"""

import atexit
import logging
import os
import signal
import sys
import time
from contextlib import redirect_stderr, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deployments.terminal import signals

DRAIN_SECONDS = 10.0
TERMINATED = (128 + signal.SIGTERM, 128 + signal.SIGHUP)


def work_begins() -> None:
    """From here on a signal is an exception, so that what is open is closed. Nothing where this process is no
    command."""
    if signals.command:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        catch_sigterm()


def catch_sigterm() -> None:
    """Let SIGTERM, and the end of the terminal, end the command as Ctrl-C does: what is open is closed; a second signal
    ends it at once."""
    for number in signals.heard():
        if number != signal.SIGINT:
            signal.signal(number, _terminate)


def leave(code: int) -> NoReturn:
    """End this process with ``code``. A signal no longer changes how the command ended, only how long it waits."""

    def now(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(code)

    for number in signals.heard():
        signal.signal(number, now)
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        logging.disable()  # the command has said how it ended; what Prefect says of a lost server adds nothing
        sent = drain()
    if "deployments.up.servers.own_server" in sys.modules:
        from deployments.up.servers.own_server import stop_temporary

        stop_temporary()
    _flush()
    if sent:
        atexit.unregister(_ignore_signals)
        atexit.register(_ignore_signals)
        sys.exit(code)
    logging.shutdown()
    os._exit(code)


def drain() -> bool:
    """Send what Prefect has queued; false when that did not end in time."""
    if "prefect.events.worker" not in sys.modules:
        return True
    try:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
    except ImportError:  # interrupted in the middle of its own import: nothing is queued
        return True
    deadline = time.monotonic() + DRAIN_SECONDS
    open_ = 0
    for worker in (EventsWorker, APILogWorker):
        done = worker.drain_all(timeout=max(0.0, deadline - time.monotonic()), at_exit=True)
        open_ += len(done[1]) if isinstance(done, tuple) else 0
    return open_ == 0


def _flush() -> None:
    """What was printed reaches who listens, while a signal may still end the wait; what cannot be written is dropped,
    or Python would complain of it at the very end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (ValueError, AttributeError):
            pass  # closed, or never there


def _ignore_signals() -> None:
    """Between here and the process's end no handler of ours is called any more."""
    for number in signals.heard():
        signal.signal(number, signal.SIG_IGN)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    for each in signals.heard():
        signal.signal(each, signals.end)
    raise SystemExit(128 + number)

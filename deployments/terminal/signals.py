"""Ctrl-C, SIGTERM and SIGHUP before a command's work begins: it ends at once, with one line. Imports nothing that takes
time itself.

An exception raised in the middle of an import ends in a traceback as often as not, and leaves half a module behind; and
there is nothing to close yet. Not here: what a signal does to work under way (shutdown.py), and the first moments of
the interpreter, before any of our code.
"""

import os
import signal
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last: the terminal has gone
LINE = b"cogumi: interrupted\n"
command = False  # whether this process is a command, whose signals are ours to settle; a test's are not


def at_once() -> None:
    """From here on a signal ends the process."""
    global command
    command = True
    for number in heard():
        signal.signal(number, end)


def heard() -> list[signal.Signals]:
    """The signals that end this process: not the terminal's end where somebody had it ignored (nohup)."""
    return [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


def end(number: int, frame: FrameType | None) -> NoReturn:
    """Say so, and go: 130, 143 or 129, as shells have it. A server that the process started ends with it; the kernel
    sees to that."""
    try:
        os.write(2, LINE)
    except OSError:
        pass  # nobody listens
    os._exit(128 + number)

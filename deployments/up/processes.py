"""The processes of one ``cogumi up``: started in sessions of their own, written down, and ended, those and no others.

Every process inherits a mark in its environment, so that what a killed ``cogumi up`` left behind is known even where
its number was given to somebody else meanwhile. Not here: which processes there are (up.py).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import psutil

from blocks.prefect.code_version import ROOT
from blocks.processes import end_with_parent
from blocks.storage.home import private_folder, private_opener

MARK = "COGUMI_UP"
RUN = "PREFECT__FLOW_RUN_ID"
STOP_SECONDS = 20.0
SWEEP_SECONDS = 5.0

Child = subprocess.Popen[bytes]


def start(name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Start ``python ARGUMENTS``, its output in ``logs/NAME.log``. It is asked to end when this process dies, however
    that happens."""
    with open(private_folder("logs") / f"{name}.log", "ab", opener=private_opener) as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, signal.SIGTERM),
        )


def stop(children: Sequence[Child]) -> None:
    """Ask all, wait, then insist."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.1, deadline - time.monotonic()))
        child.kill()
        child.wait()


def sweep(mark: str, only_runs: bool = False) -> int:
    """End every process that carries ``mark``, or every flow run among them, and wait until they are gone; how many
    there were. Flow runs outlive a worker that was killed."""
    found = _marked(mark, only_runs)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    deadline = time.monotonic() + SWEEP_SECONDS
    while (left := _marked(mark, only_runs)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + STOP_SECONDS
    while any(map(_lives, {*found, *left})) and time.monotonic() < deadline:  # until then it may hold a port
        time.sleep(0.02)
    return len(found)


def flow_runs() -> set[str]:
    """The ids of the flow runs whose process lives on this machine."""
    return {environment[RUN] for _, environment in _processes() if RUN in environment}


def _marked(mark: str, only_runs: bool) -> list[psutil.Process]:
    return [
        process
        for process, environment in _processes()
        if environment.get(MARK) == mark and (RUN in environment or not only_runs)
    ]


def _processes() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """Every other process of this user that lives, with its environment."""
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            with contextlib.suppress(psutil.Error, OSError):  # another user's, or gone
                environment = process.environ()
                if _lives(process):
                    yield process, environment


def _lives(process: psutil.Process) -> bool:
    """Whether it has not ended, also where nobody has asked for its exit code yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False

"""The processes of one ``cogumi up``: started in sessions of their own, written down, and ended, those and no others.

Every process inherits a mark in its environment, so that what a killed ``cogumi up`` left behind is known even where
its number was given to somebody else meanwhile. Needs Linux' /proc. Not here: which processes there are (up.py).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from blocks.prefect.code_version import ROOT
from blocks.storage.home import private_folder, private_opener

MARK = "COGUMI_UP"
RUN = b"PREFECT__FLOW_RUN_ID="
STOP_SECONDS = 20.0
SWEEP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1

Child = subprocess.Popen[bytes]


def started(pid: int) -> float | None:
    """When process ``pid`` started, in clock ticks since boot; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else float(fields[19])


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
            preexec_fn=_end_with_parent,
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
    wanted = [f"{MARK}={mark}".encode(), *([RUN] if only_runs else [])]
    found = _with(wanted)
    for number, _ in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + SWEEP_SECONDS
    while (left := _with(wanted)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for number, since in left:
        if started(number) == since:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + STOP_SECONDS
    while (
        any(started(number) == since for number, since in {*found, *left}) and time.monotonic() < deadline
    ):  # until then it may hold a port
        time.sleep(0.02)
    return len(found)


def flow_runs() -> set[str]:
    """The ids of the flow runs whose process lives on this machine."""
    return {
        name.removeprefix(RUN).decode()
        for _, _, environment in _processes()
        for name in environment
        if name.startswith(RUN)
    }


def _with(wanted: Sequence[bytes]) -> list[tuple[int, float]]:
    """(pid, start time) of the processes in whose environment all these begin a line."""
    return [
        (number, since)
        for number, since, environment in _processes()
        if all(any(line.startswith(each) for line in environment) for each in wanted)
    ]


def _processes() -> Iterator[tuple[int, float, list[bytes]]]:
    """(pid, start time, environment) of every other process of this user."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # another user's, or gone
        since = started(int(entry.name))
        if since is not None:
            yield int(entry.name), since, environment.split(b"\0")


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

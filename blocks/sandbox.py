"""The one place where generated code runs: a separate interpreter in Linux namespaces, with nothing to reach and little to use up.

A program sees Python's standard library and nothing else: no files, no network, no environment, no other process. It passes when it
runs to its end without an error; leaving early, by whatever exit code, is not passing. One confined interpreter forks per program, so
that a batch costs about a millisecond each. Where the kernel gives no namespaces, ``COGUMI_SANDBOX=weak`` allows resource limits and a
system-call filter alone: no network, no writing, no new processes, but files can be read; without it, nothing runs.

The verdict is made in the program's own process, after its end: a program written against this very harness could still forge it.
Not here: what is done inside (sandbox_harness.py), and what the programs are (checkers/).
"""

import json
import logging
import os
import platform
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from blocks import seccomp
from configs.errors import BadInput

log = logging.getLogger("cogumi.sandbox")
HARNESS = Path(__file__).with_name("sandbox_harness.py")
GRACE = 10.0  # seconds beyond a program's own limit after which its interpreter is given up
Mode = Literal["root", "user", "weak"]


class Outcome(NamedTuple):
    """How a program ended. ``reason`` is empty when it passed; ``output`` is what it printed, cut at 64 KiB."""

    passed: bool
    reason: str
    output: str


def run(program: str, *, seconds: float, memory_bytes: int) -> Outcome:
    """Run one program; see :func:`run_all`."""
    return run_all([program], seconds=seconds, memory_bytes=memory_bytes)[0]


def run_all(programs: Sequence[str], *, seconds: float, memory_bytes: int) -> list[Outcome]:
    """Run each program by itself, for at most ``seconds`` of wall time and ``memory_bytes`` of address space; outcomes in order.

    Raises:
        BadInput: this machine cannot confine programs, and the weak mode was not allowed.
    """
    if not programs:
        return []
    mode = _mode(os.environ.get("COGUMI_SANDBOX", ""))
    outcomes: list[Outcome] = []
    while len(outcomes) < len(programs):
        with _interpreter(mode, seconds, memory_bytes) as process:
            for first, program in enumerate(programs[len(outcomes) :]):
                answer = _ask(process, program.encode("utf-8", "replace"), seconds + GRACE)
                if answer is not None:
                    outcomes.append(Outcome(bool(answer["passed"]), str(answer["reason"]), str(answer["output"])))
                elif first == 0:
                    outcomes.append(Outcome(False, "the sandbox died", ""))
                else:
                    break  # perhaps an earlier program's doing: this one has another chance in a fresh interpreter
    return outcomes


@lru_cache(maxsize=8)
def _mode(allowed: str) -> Mode:
    """The strongest confinement that works here, tried once."""
    modes: list[Mode] = ["root", "user"] if os.geteuid() == 0 else ["user"]
    reasons = []
    for mode in [] if allowed == "weak-only" else modes:
        reason = _refusal(mode)
        if reason is None:
            return mode
        reasons.append(reason)
    if not allowed.startswith("weak"):
        raise BadInput(f"generated code cannot be confined here ({'; '.join(reasons)}); allow user namespaces, or set COGUMI_SANDBOX=weak to run it able to read files")
    reason = _refusal("weak")
    if reason is not None:
        raise BadInput(f"generated code cannot be confined here, not even weakly ({'; '.join([*reasons, reason])})")
    log.warning("no namespaces here (%s): generated code runs under resource limits and a system-call filter only", "; ".join(reasons) or "not tried")
    return "weak"


def _refusal(mode: Mode) -> str | None:
    """Why a mode does not work here, None where it does."""
    try:
        with _interpreter(mode, 10.0, 1 << 30):
            return None
    except _Refused as refused:
        return str(refused)


class _Refused(Exception):
    """The kernel does not give what the mode needs."""


@contextmanager
def _interpreter(mode: Mode, seconds: float, memory_bytes: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A confined interpreter that waits for programs; it and all it started are gone afterwards."""
    # As ``-I``, with the one variable that makes runs repeatable.
    command = [sys.executable, "-P", "-s", "-S", "-B", str(HARNESS), mode, str(seconds), str(memory_bytes)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"PYTHONHASHSEED": "0"}, cwd="/", start_new_session=True)
    try:
        hello = _ask(process, seccomp.program(platform.machine()), 60)
        if hello is None or "cannot" in hello:
            raise _Refused(f"{mode}: {hello['cannot'] if hello else 'the interpreter did not start'}")
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


def _ask(process: "subprocess.Popen[bytes]", message: bytes, patience: float) -> dict[str, bool | str] | None:
    """Send a message, wait for the reply; None where the interpreter died or hangs."""
    assert process.stdin is not None
    try:
        process.stdin.write(struct.pack("!Q", len(message)) + message)
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return _receive(process, time.monotonic() + patience)


def _receive(process: "subprocess.Popen[bytes]", deadline: float) -> dict[str, bool | str] | None:
    header = _read(process, 8, deadline)
    body = _read(process, struct.unpack("!Q", header)[0], deadline) if header else None
    return json.loads(body) if body else None


def _read(process: "subprocess.Popen[bytes]", size: int, deadline: float) -> bytes | None:
    """Exactly ``size`` bytes, or None at the deadline or the end."""
    assert process.stdout is not None
    data = b""
    while len(data) < size:
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        part = os.read(process.stdout.fileno(), size - len(data))
        if not part:
            return None
        data += part
    return data

"""The one place where generated code runs: separate interpreters in Linux namespaces, with nothing to reach and little
to use up.

A program sees Python's standard library and nothing else: no files, no network, no environment, no other process. Two
confined interpreters fork once per program, so that each of a batch costs some milliseconds: one for the program, one
for its tests. The tests never enter the process of the program; it is asked for one call after the other and answers
with plain data, which is compared in the judge's process (judge.py). A program passes when its tests come to their end
without an error; without tests, when it comes to its own; leaving early, by whatever exit code, is not passing. Where
the kernel gives no namespaces, ``COGUMI_SANDBOX=weak`` allows resource limits and a system-call filter alone: no
network, no writing, no new processes. With Landlock, which is used where the kernel has it, no file of the user can be
opened either (mode ``landlock``); without, files can be read (mode ``weak``). Without that word, nothing runs.

Not here: what is done inside (harness.py, confinement.py, runner.py, judge.py), and what the
programs are (checkers/).
"""

import importlib.util
import json
import logging
import os
import platform
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from blocks.cores import cores
from blocks.sandbox import seccomp
from configs.errors import BadInput

log = logging.getLogger("cogumi.sandbox")
HARNESS = Path(__file__).with_name("harness.py")
# seconds of the clock for each of processor time: enough beside a dozen busy processes, and an end for what sleeps
WALL = 6.0
GRACE = 10.0  # seconds beyond a program's own limit after which its interpreter is given up
PER_PAIR = 24  # programs for which another pair of interpreters is worth its start
MOST_PAIRS = 8
LEFT = "left before the end"
Mode = Literal["root", "user", "landlock", "weak"]


class Outcome(NamedTuple):
    """How a program ended. ``reason`` is empty when it passed; ``output`` is what it printed, cut at 64 KiB."""

    passed: bool
    reason: str
    output: str


class _Pair(NamedTuple):
    """The interpreter that runs programs and the one that judges them."""

    runner: "_Interpreter"
    judge: "_Interpreter"

    @property
    def pid(self) -> int:
        """Of the one that runs programs."""
        return self.runner.process.pid

    def wait(self) -> int:
        """Until the one that runs programs has ended."""
        return self.runner.process.wait()


class _Interpreter(NamedTuple):
    """A confined interpreter, and the socket that is its standard input."""

    process: "subprocess.Popen[bytes]"
    input: socket.socket


def run(program: str, tests: str = "", *, seconds: float, memory_bytes: int) -> Outcome:
    """Run one program; see :func:`run_all`."""
    return run_all([program], [tests], seconds=seconds, memory_bytes=memory_bytes)[0]


def run_all(
    programs: Sequence[str], tests: Sequence[str] | None = None, *, seconds: float, memory_bytes: int
) -> list[Outcome]:
    """Run each program by itself against its tests, for at most ``seconds`` of processor time and ``memory_bytes`` of
    address space.

    Outcomes are in order. The judge of a program has the same time and memory of its own. By the clock, both end
    together after ``WALL`` times ``seconds`` at most. A large batch runs on several cores at once.

    Raises:
        BadInput: this machine cannot confine programs, and the weak mode was not allowed.
    """
    if not programs:
        return []
    mode = _mode(os.environ.get("COGUMI_SANDBOX", ""))
    pairs = list(zip(programs, tests if tests is not None else [""] * len(programs), strict=True))
    numpy = _numpy_folder() if any("numpy" in test for _, test in pairs) else ""
    outcomes: list[Outcome | None] = [None] * len(pairs)
    waiting = deque(range(len(pairs)))
    started: list[_Pair] = []

    def work() -> None:
        """Run what waits, until nothing does."""
        while waiting:
            with _interpreter(mode, seconds, memory_bytes, numpy) as pair:
                started.append(pair)
                _run_waiting(pair, seconds * WALL + GRACE, waiting, pairs, outcomes)

    extra = min(cores(), MOST_PAIRS, -(-len(pairs) // PER_PAIR)) - 1
    with ThreadPoolExecutor(max(1, extra), "sandbox") as pool:
        try:
            others = [pool.submit(work) for _ in range(extra)]
            work()
            for other in others:
                other.result()
        except BaseException:  # an interrupt, say: the others end now as well
            waiting.clear()
            for pair in started:
                pair.runner.process.kill()
                pair.judge.process.kill()
            raise
    return [outcome for outcome in outcomes if outcome is not None]


def _run_waiting(
    pair: _Pair, patience: float, waiting: deque[int], pairs: Sequence[tuple[str, str]], outcomes: list[Outcome | None]
) -> None:
    """Take one program after the other from ``waiting`` (shared with other threads), until none is left or the
    interpreters die."""
    fresh = True
    while True:
        try:
            number = waiting.popleft()
        except IndexError:
            return
        program, test = (text.encode("utf-8", "replace") for text in pairs[number])
        answer = _ask(pair, program, patience, test)
        if answer is None and not fresh:
            waiting.appendleft(
                number
            )  # perhaps an earlier program's doing: this one has another chance in fresh interpreters
            return
        outcomes[number] = (
            Outcome(bool(answer["passed"]), str(answer["reason"]), str(answer["output"]))
            if answer
            else Outcome(False, "the sandbox died", "")
        )
        if answer is None:
            return
        fresh = False


def _numpy_folder() -> str:
    """Where numpy is, for tests that import it; programs have none."""
    found = importlib.util.find_spec("numpy")
    return str(Path(found.origin).parent.parent) if found is not None and found.origin else ""


@lru_cache(maxsize=8)
def _mode(allowed: str) -> Mode:
    """The strongest confinement that works here, tried once."""
    modes: list[Mode] = ["root", "user"] if os.geteuid() == 0 else ["user"]
    if allowed.startswith("weak"):
        modes = [*([] if allowed == "weak-only" else modes), "landlock", "weak"]
    reasons: list[str] = []
    for mode in modes:
        reason = _refusal(mode)
        if reason is None:
            if mode in ("landlock", "weak"):
                can = "can open no files of this user" if mode == "landlock" else "can read the files of this user"
                log.warning(
                    "no namespaces here (%s): generated code runs under resource limits and a system-call filter only; "
                    "it %s",
                    "; ".join(reasons) or "not tried",
                    can,
                )
            return mode
        reasons.append(reason)
    if not allowed.startswith("weak"):
        advice = (
            "allow user namespaces, or set COGUMI_SANDBOX=weak to run it without, where it may be able to read files"
        )
        raise BadInput(f"generated code cannot be confined here ({'; '.join(reasons)}); {advice}")
    raise BadInput(f"generated code cannot be confined here, not even weakly ({'; '.join(reasons)})")


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
def _interpreter(mode: Mode, seconds: float, memory_bytes: int, numpy: str = "") -> Iterator[_Pair]:
    """Two confined interpreters that wait for programs and their tests; they and all they started are gone
    afterwards."""
    with ExitStack() as stack:
        pair = _Pair(
            *(
                stack.enter_context(_started(mode, seconds, memory_bytes, *role))
                for role in (("runner", ""), ("judge", numpy))
            )
        )
        for one in pair:
            hello = _receive(one.process, time.monotonic() + 60)
            if hello is None or "cannot" in hello:
                raise _Refused(f"{mode}: {hello['cannot'] if hello else 'the interpreter did not start'}")
        yield pair


@contextmanager
def _started(mode: Mode, seconds: float, memory_bytes: int, role: str, numpy: str) -> Iterator[_Interpreter]:
    # As ``-I``, with the one variable that makes runs repeatable; numpy's libraries start no threads.
    command = [
        sys.executable,
        "-P",
        "-s",
        "-S",
        "-B",
        str(HARNESS),
        mode,
        str(seconds),
        str(seconds * WALL),
        str(memory_bytes),
        role,
        numpy,
    ]
    environment = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        try:
            _send(_Interpreter(process, ours), seccomp.program(platform.machine()), (), 60)
            yield _Interpreter(process, ours)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _ask(pair: _Pair, program: bytes, patience: float, tests: bytes = b"") -> dict[str, bool | str] | None:
    """Run a program against its tests; None where an interpreter died or hangs."""
    calls, asked = os.pipe()
    answers, answered = os.pipe()
    try:
        sent = _send(pair.runner, program or b"\n", (calls, answered), patience) and _send(
            pair.judge, tests or b"\n", (answers, asked), patience
        )
    finally:
        for fd in (calls, asked, answers, answered):
            os.close(fd)
    deadline = time.monotonic() + patience
    verdict = _receive(pair.judge.process, deadline) if sent else None
    if verdict is None or not _send(pair.runner, b"", (), patience):
        return None
    ran = _receive(pair.runner.process, deadline + GRACE)
    if ran is None:
        return None
    passed = bool(verdict["passed"] and not ran["ended"])
    reason = verdict["reason"] or verdict["ended"]
    reason = ran["ended"] or (ran["died"] if reason == LEFT else reason)
    return {"passed": passed, "reason": "" if passed else reason, "output": ran["output"]}


def _send(interpreter: _Interpreter, message: bytes, fds: Sequence[int], patience: float) -> bool:
    """Send a message with descriptors; whether it could be sent."""
    interpreter.input.settimeout(patience)
    try:
        socket.send_fds(interpreter.input, [struct.pack("!Q", len(message))], list(fds))
        interpreter.input.sendall(message)
    except OSError:
        return False
    return True


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

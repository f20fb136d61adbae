"""Runs inside the sandbox's own interpreters: confines itself, then forks once per program and reports how it ended.

Started by sandbox.py as a script, with ``mode seconds wall memory_bytes role numpy``; uses the standard library alone.
Standard input is a socket: the first message is the system-call filter, the following are programs (role ``runner``) or
tests (role ``judge``), each with both ends of its link to the other; a message has its length in eight bytes in front,
an empty one ends what runs. Every reply is JSON. Modes: ``root`` (namespaces, then the user nobody), ``user`` (the same
inside a user namespace), ``landlock`` (limits, filter, and no file but the interpreter's own), ``weak`` (limits and
filter only). ``numpy`` is the folder that has it, for tests that import it, or empty.

Most of a program's price is the copying of pages that its process touches first. So what every process needs (its
files, the filter, the state of ``random``) is made before the fork. Not here: the confinement itself (confinement.py).
"""

import ctypes
import fcntl
import gc
import json
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import NamedTuple, NoReturn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from blocks.sandbox import judge, runner
from blocks.sandbox.confinement import Filter, drop_privileges, enter_namespaces, hide_files, libc
from blocks.sandbox.wire import Link

del sys.path[0]

OUTPUT_BYTES = 64 * 1024
PASSED, STOPPED = b"+", "stopped"
# Loaded once, so that a program's import costs nothing.
PRELOADED = (
    "array base64 bisect collections collections.abc copy dataclasses datetime decimal enum fractions functools "
    "hashlib heapq io itertools "
    "operator re statistics string textwrap traceback typing unicodedata"
)


class Terms(NamedTuple):
    """What holds for every program of this interpreter; ``seconds`` of processor time, ``wall`` of the clock."""

    role: str
    seconds: float
    wall: float
    memory_bytes: int
    confined: bool
    filter: Filter | None
    link: Link

    def limits(self) -> list[tuple[int, int]]:
        """For ``setrlimit``. That of processor time is in whole seconds; ``watch`` comes before it."""
        return [
            (resource.RLIMIT_CPU, math.ceil(self.seconds) + 1),
            (resource.RLIMIT_AS, self.memory_bytes),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, 32),
            (resource.RLIMIT_NPROC, 0),
        ]


def child(terms: Terms, source: str, fds: list[int]) -> NoReturn:
    """In the forked process, with the descriptors that it keeps: output, both ends of the link, verdict. Never
    returns."""
    try:
        nothing = os.pipe()[0]
        kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (nothing, fds[0], fds[0], *fds[1:])]
        for target, fd in enumerate(kept):
            os.dup2(fd, target)
        os.closerange(len(kept), 4096)
        gc.enable()
        for limit, size in terms.limits():
            resource.setrlimit(limit, (size, size))
        if terms.filter:
            terms.filter.install()
        if terms.role == "judge":
            reason = judge.judge(source, terms.link)
            os.write(5, PASSED if reason is None else b"-" + reason.encode("utf-8", "replace")[:500])
        else:
            runner.run(source, terms.link)
            sys.stdout.flush()
    finally:
        os._exit(0)


def run(terms: Terms, source: str, link: list[int]) -> dict[str, object]:
    """Fork, watch, kill, and tell how it ended.

    ``passed``: the judge says so; ``reason``: what it says instead; ``ended``: why it was ended; ``died``: how it left
    by itself.
    """
    verdict, verdict_end = os.pipe()
    output, output_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(terms, source, [output_end, *link, *([verdict_end] if terms.role == "judge" else [])])
    for fd in (verdict_end, output_end, *link):
        os.close(fd)
    printed, ended = watch(pid, output, terms.seconds, terms.wall)
    kill(pid, terms.confined)
    status = os.waitpid(pid, 0)[1]
    while terms.confined and reap():
        pass
    os.set_blocking(verdict, False)
    said = drain(verdict, 600)
    printed += drain(output, OUTPUT_BYTES - len(printed))
    for fd in (verdict, output):
        os.close(fd)
    died = f"killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "left before the end"
    passed = ended == "" and said == PASSED
    reason = "" if passed or ended else said[1:].decode("utf-8", "replace") or died
    return {
        "passed": passed,
        "reason": reason,
        "ended": "" if ended == STOPPED else ended,
        "died": died,
        "output": printed.decode("utf-8", "replace"),
    }


def watch(pid: int, output: int, seconds: float, wall: float) -> tuple[bytes, str]:
    """Read what is printed until the process ends (""), is to be stopped, its time is up, or it prints too much.

    ``seconds`` are of processor time, so that an outcome does not hang on what else the machine does; ``wall`` are of
    the clock, for what sleeps.
    """
    os.set_blocking(output, False)
    clock = processor_clock(pid)
    deadline = time.monotonic() + wall
    exited = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(exited, select.POLLIN)
    poll.register(output, select.POLLIN)
    poll.register(0, select.POLLIN)
    printed = b""
    try:
        while True:
            left = seconds - time.clock_gettime(clock)
            patience = deadline - time.monotonic()
            # It cannot have used up what is left any sooner; a little is added, lest the end come in ever smaller
            # steps.
            ready = [fd for fd, _ in poll.poll(min(left + 0.005, patience) * 1000)] if min(left, patience) > 0 else []
            if exited in ready:
                return printed, ""
            if 0 in ready:
                receive()
                return printed, STOPPED
            if left <= 0:
                return printed, f"still running after {seconds:g} seconds"
            if patience <= 0:
                return (
                    printed,
                    f"not at its end after {wall:g} seconds by the clock, {time.clock_gettime(clock):.1f} of them at "
                    "work",
                )
            if not ready:
                continue
            part = drain(output, OUTPUT_BYTES - len(printed))
            printed += part
            if len(printed) >= OUTPUT_BYTES:
                return printed, f"printed more than {OUTPUT_BYTES} bytes"
            if not part:
                poll.unregister(output)  # closed: from here on only the exit counts
    finally:
        os.close(exited)


def processor_clock(pid: int) -> int:
    """The clock of a process's own processor time, for ``time.clock_gettime``."""
    clock = ctypes.c_int()
    error = libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value


def drain(fd: int, size: int) -> bytes:
    """What a non-blocking pipe holds, up to ``size`` bytes."""
    data = b""
    try:
        while len(data) < size and (part := os.read(fd, size - len(data))):
            data += part
    except BlockingIOError:
        pass
    return data


def kill(pid: int, confined: bool) -> None:
    """End the program; inside a process namespace, everything else there with it."""
    for target in [-1] if confined else [pid]:
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            pass


def reap() -> bool:
    """Collect one more ended process, if there is any."""
    try:
        return os.waitpid(-1, 0)[0] > 0
    except ChildProcessError:
        return False


def receive() -> tuple[bytes, list[int]] | None:
    """The next message on standard input and the descriptors that came with it, None at its end."""
    stream = socket.socket(fileno=os.dup(0))
    with stream:
        header, fds, _, _ = socket.recv_fds(stream, 8, 2)
        while 0 < len(header) < 8 and (part := stream.recv(8 - len(header))):
            header += part
        if len(header) < 8:
            return None
        size = struct.unpack("!Q", header)[0]
        body = b""
        while len(body) < size:
            if not (part := stream.recv(min(size - len(body), 1 << 20))):
                return None
            body += part
    return body, fds


def send(reply: dict[str, object]) -> None:
    """A message on standard output."""
    body = json.dumps(reply).encode()
    data = memoryview(struct.pack("!Q", len(body)) + body)
    while data:
        data = data[os.write(1, data) :]


def main(mode: str, seconds: float, wall: float, memory_bytes: int, role: str, numpy: str) -> None:
    """Confine, say so, and run programs until standard input ends."""
    program = (receive() or (b"", []))[0]
    filter_program = Filter(program) if program else None
    confined = mode in ("root", "user")
    try:
        load_random()
        for name in PRELOADED.split():
            __import__(name)
        if numpy:
            load_numpy(numpy)
            memory_bytes += 4 * 1024 * 1024 * 1024  # what its libraries map and hardly touch
        if confined:
            enter_namespaces(mode)
        elif not filter_program:
            raise OSError("no system-call filter for this architecture")
        drop_privileges()
        if mode == "landlock":
            hide_files()
    except (OSError, AttributeError) as error:  # AttributeError: not Linux
        return send({"cannot": str(error)})
    os.environ.clear()
    # The files of the programs, over the descriptors that their processes will have; nothing is read from or written to
    # them here.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open for the process's life
    sys.stdout = sys.stderr = open(1, "w", closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    terms = Terms(
        role=role,
        seconds=seconds,
        wall=wall,
        memory_bytes=memory_bytes,
        confined=confined,
        filter=filter_program,
        link=Link(3, 4),
    )
    gc.collect()
    gc.freeze()
    gc.disable()  # what waits here between programs leaves no cycles; it is switched on again for each of them
    send({"ready": True})
    while (message := receive()) is not None:
        source, link = message
        if source:
            send(run(terms, source.decode(), link))


def load_random() -> None:
    """``random`` with the same seed for every program: it asks to be seeded anew in each fork, and is not heard."""
    register, os.register_at_fork = os.register_at_fork, lambda **_: None
    __import__("random").seed(0)
    os.register_at_fork = register


def load_numpy(folder: str) -> None:
    """numpy, with what a comparison loads late, while its folder can still be seen."""
    sys.path.append(folder)
    try:
        numpy = __import__("numpy")
        numpy.allclose([1.0], [1.0])
        numpy.testing.assert_allclose([1.0], [1.0])
    except ImportError:
        pass  # the tests that want it say so
    sys.path.remove(folder)


if __name__ == "__main__":
    main(
        mode=sys.argv[1],
        seconds=float(sys.argv[2]),
        wall=float(sys.argv[3]),
        memory_bytes=int(sys.argv[4]),
        role=sys.argv[5],
        numpy=sys.argv[6],
    )

"""Runs inside the sandbox's own interpreters: confines itself, then forks once per program and reports how it ended.

Started by sandbox.py as a script, with ``mode seconds memory_bytes role numpy``; uses the standard library alone. Standard input
is a socket: the first message is the system-call filter, the following are programs (role ``runner``) or tests (role ``judge``),
each with both ends of its link to the other; a message has its length in eight bytes in front, an empty one ends what runs.
Every reply is JSON. Modes: ``root`` (namespaces, then the user nobody), ``user`` (the same inside a user namespace), ``weak``
(limits and filter only). ``numpy`` is the folder that has it, for tests that import it, or empty.
"""

import ctypes
import fcntl
import gc
import json
import math
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import NoReturn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from blocks import sandbox_judge, sandbox_runner

del sys.path[0]

NOBODY = 65534
OUTPUT_BYTES = 64 * 1024
PASSED, STOPPED = b"+", "stopped"
# Loaded once, so that a program's import costs nothing.
PRELOADED = (
    "array base64 bisect collections collections.abc copy dataclasses datetime decimal enum fractions functools hashlib heapq io itertools "
    "operator re statistics string textwrap traceback typing unicodedata"
)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 8192, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise the C library's error for a failed call."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def enter_namespaces(mode: str) -> None:
    """Leave the machine's users, files, processes and network; returns in the first process of the new process namespace."""
    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | (CLONE_NEWUSER if mode == "user" else 0)
    check(libc.unshare(flags), "unshare")
    if mode == "user":
        for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
            with open(f"/proc/self/{name}", "w") as stream:
                stream.write(text)
    child = os.fork()
    if child:
        os._exit(os.waitpid(child, 0)[1] != 0)
    change_root()
    if mode == "root":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def change_root() -> None:
    """An empty, read-only root that holds nothing but Python's standard library and the shared libraries."""
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount private")
    root = "/proc"  # any folder that exists everywhere and is in nobody's way; hidden below, never changed
    check(libc.mount(b"none", root.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=755,size=1m"), "mount tmpfs")
    for path in dict.fromkeys([*sys.path, "/lib", "/lib64", "/usr/lib", "/usr/lib64"]):
        if os.path.isdir(path) and not os.path.exists(root + path):
            os.makedirs(root + path)
            target = (root + path).encode()
            check(libc.mount(path.encode(), target, None, MS_BIND | MS_REC, None), "bind")
            kept = os.statvfs(path).f_flag & 0b1111  # flags that may not be dropped: read-only, nosuid, nodev, noexec
            check(libc.mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept | times_kept(path), None), "bind read-only")
    os.chdir(root)
    check(libc.mount(b".", b"/", None, MS_MOVE, None), "move root")
    os.chroot(".")
    os.chdir("/")
    check(libc.mount(None, b"/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None), "root read-only")


def times_kept(path: str) -> int:
    """The access-time flags of a mount, which a remount inside a user namespace must repeat."""
    flags = os.statvfs(path).f_flag
    return (flags & 1024) | (flags & 2048) | ((1 << 21) if flags & 4096 else 0)


def drop_privileges() -> None:
    """No capability, no way to gain one, no look into this process from its children, and death with the parent."""
    header = struct.pack("=Ii", 0x20080522, 0)
    check(libc.capset(header, bytes(24)), "capset")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")


def install_filter(program: bytes) -> None:
    """Put the system-call filter on this process and all it may become."""
    instructions = ctypes.create_string_buffer(program)
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions)))
    check(libc.prctl(PR_SET_SECCOMP, 2, head, 0, 0), "seccomp")


def child(role: str, source: str, filter_program: bytes, seconds: float, memory_bytes: int, fds: list[int]) -> NoReturn:
    """In the forked process, with the descriptors that it keeps: output, both ends of the link, verdict. Never returns."""
    try:
        nothing = os.pipe()[0]
        kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (nothing, fds[0], fds[0], *fds[1:])]
        for target, fd in enumerate(kept):
            os.dup2(fd, target)
        os.closerange(len(kept), 4096)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open for the process's life
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
        sys.stderr = sys.stdout
        cpu = math.ceil(seconds) + 1
        for limit, size in ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
                            (resource.RLIMIT_NOFILE, 32), (resource.RLIMIT_NPROC, 0)):  # fmt: skip
            resource.setrlimit(limit, (size, size))
        if filter_program:
            install_filter(filter_program)
        random.seed(0)  # here, since a fork seeds it anew
        if role == "judge":
            reason = sandbox_judge.judge(source, 3, 4)
            os.write(5, PASSED if reason is None else b"-" + reason.encode("utf-8", "replace")[:500])
        else:
            sandbox_runner.run(source, 3, 4)
            sys.stdout.flush()
    finally:
        os._exit(0)


def run(role: str, source: str, link: list[int], filter_program: bytes, seconds: float, memory_bytes: int, confined: bool) -> dict[str, object]:
    """Fork, watch, kill, and tell how it ended.

    ``passed``: the judge says so; ``reason``: what it says instead; ``ended``: why it was ended; ``died``: how it left by itself.
    """
    verdict, verdict_end = os.pipe()
    output, output_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(role, source, filter_program, seconds, memory_bytes, [output_end, *link, *([verdict_end] if role == "judge" else [])])
    for fd in (verdict_end, output_end, *link):
        os.close(fd)
    printed, ended = watch(pid, output, seconds)
    kill(pid, confined)
    status = os.waitpid(pid, 0)[1]
    while confined and reap():
        pass
    os.set_blocking(verdict, False)
    said = drain(verdict, 600)
    printed += drain(output, OUTPUT_BYTES - len(printed))
    for fd in (verdict, output):
        os.close(fd)
    died = f"killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "left before the end"
    passed = ended == "" and said == PASSED
    reason = "" if passed or ended else said[1:].decode("utf-8", "replace") or died
    return {"passed": passed, "reason": reason, "ended": "" if ended == STOPPED else ended, "died": died, "output": printed.decode("utf-8", "replace")}


def watch(pid: int, output: int, seconds: float) -> tuple[bytes, str]:
    """Read what is printed until the process ends (""), is to be stopped, its time is up, or it prints too much."""
    os.set_blocking(output, False)
    deadline = time.monotonic() + seconds
    exited = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(exited, select.POLLIN)
    poll.register(output, select.POLLIN)
    poll.register(0, select.POLLIN)
    printed = b""
    try:
        while True:
            left = deadline - time.monotonic()
            ready = [fd for fd, _ in poll.poll(max(0.0, left * 1000))] if left > 0 else []
            if exited in ready:
                return printed, ""
            if 0 in ready:
                receive()
                return printed, STOPPED
            if not ready:
                return printed, f"still running after {seconds:g} seconds"
            part = drain(output, OUTPUT_BYTES - len(printed))
            printed += part
            if len(printed) >= OUTPUT_BYTES:
                return printed, f"printed more than {OUTPUT_BYTES} bytes"
            if not part:
                poll.unregister(output)  # closed: from here on only the exit counts
    finally:
        os.close(exited)


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
    sys.stdout.buffer.write(struct.pack("!Q", len(body)) + body)
    sys.stdout.buffer.flush()


def main(mode: str, seconds: float, memory_bytes: int, role: str, numpy: str) -> None:
    """Confine, say so, and run programs until standard input ends."""
    filter_program = (receive() or (b"", []))[0]
    try:
        for name in PRELOADED.split():
            __import__(name)
        if numpy:
            load_numpy(numpy)
            memory_bytes += 4 * 1024 * 1024 * 1024  # what its libraries map and hardly touch
        if mode == "weak":
            if not filter_program:
                raise OSError("no system-call filter for this architecture")
        else:
            enter_namespaces(mode)
        drop_privileges()
    except (OSError, AttributeError) as error:  # AttributeError: not Linux
        return send({"cannot": str(error)})
    os.environ.clear()
    gc.collect()
    gc.freeze()
    send({"ready": True})
    while (message := receive()) is not None:
        source, link = message
        if source:
            send(run(role, source.decode(), link, filter_program, seconds, memory_bytes, mode != "weak"))


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
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])

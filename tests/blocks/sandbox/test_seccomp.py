"""The system-call filter: what generated code could do to other processes of its user, tried against a sibling that
must live."""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.sandbox import sandbox, seccomp

MEMORY = 256 * 1024 * 1024
# Every program ends in the signal that kills, or in a write to the sibling's memory, wherever the kernel lets it.
START = """
import ctypes, fcntl, os, struct, signal
libc = ctypes.CDLL(None, use_errno=True)
pid, path, number = {pid}, {path!r}, {numbers!r}
def call(name, *arguments):
    return libc.syscall(number[name], *arguments)
def tried(action, *arguments):
    try: return action(*arguments)
    except OSError: return -1
reader, writer = os.pipe()
F_SETSIG, F_SETOWN_EX, O_ASYNC, F_NOTIFY, SIGKILL = 10, 15, 0o20000, 1026, 9
owner = struct.pack("=ii", 1, pid)
thread = struct.pack("=ii", 0, pid)
"""
WAYS = {
    "owner": "for fd in (reader, writer):\n tried(fcntl.fcntl, fd, fcntl.F_SETOWN, pid)",
    "owner of the group": "for fd in (reader, writer):\n tried(fcntl.fcntl, fd, fcntl.F_SETOWN, -os.getpgid(pid))",
    "owner by its structure": "for fd in (reader, writer):\n tried(fcntl.fcntl, fd, F_SETOWN_EX, owner)",
    "thread by its structure": "for fd in (reader, writer):\n tried(fcntl.fcntl, fd, F_SETOWN_EX, thread)",
    "owner by ioctl": "for fd in (reader, writer):\n for what in (0x8901, 0x8902):\n  tried(fcntl.ioctl, fd, what, "
                      "struct.pack('i', pid))",
    "a file that changes": "fd = os.open(os.path.dirname(path), os.O_RDONLY)\ntried(fcntl.fcntl, fd, fcntl.F_SETOWN, "
                           "pid)\n"
    "tried(fcntl.fcntl, fd, F_SETSIG, SIGKILL)\ntried(fcntl.fcntl, fd, F_NOTIFY, 0x8000003F)",
    "lease": "fd = os.open(path, os.O_RDONLY)\ntried(fcntl.fcntl, fd, F_SETSIG, SIGKILL)\ntried(fcntl.fcntl, fd, "
             "fcntl.F_SETOWN, pid)\n"
    "tried(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
    "kill": "call('kill', pid, 9)\ncall('tkill', pid, 9)\ncall('tgkill', pid, pid, 9)",
    "queued signals": "info = ctypes.create_string_buffer(struct.pack('=iii', 9, 0, -1), 128)\n"
    "call('rt_sigqueueinfo', pid, 9, info)\ncall('rt_tgsigqueueinfo', pid, pid, 9, info)",
    "pidfd": "fd = call('pidfd_open', pid, 0)\ncall('pidfd_send_signal', fd, 9, None, 0)\ncall('pidfd_getfd', fd, 0, "
             "0)\ncall('process_mrelease', fd, 0)",
    "timer": "event = struct.pack('=Qiii', 0, 9, 4, pid).ljust(64, b'\\0')\nlibc.timer_create(1, event, "
             "ctypes.create_string_buffer(8))\n"
    "call('timer_create', 1, event, ctypes.create_string_buffer(8))",
    "queue": "call('mq_notify', 0, struct.pack('=Qiii', 0, 9, 4, pid).ljust(64, b'\\0'))\ncall('mq_unlink', b'x')",
    "io_uring": "call('io_uring_setup', 8, ctypes.create_string_buffer(256))",
    "ptrace": "call('ptrace', 16, pid, 0, 0)\ncall('ptrace', 0x4206, pid, 0, 0)\ncall('ptrace', 8, pid, 0, 0)",
    "memory": "piece = ctypes.create_string_buffer(struct.pack('=QQ', 4096, 8))\ncall('process_vm_writev', pid, piece, "
              "1, piece, 1, 0)",
    "limits": "import resource\ntried(resource.prlimit, pid, resource.RLIMIT_CPU, (0, 0))\ntried(os.setpriority, "
              "os.PRIO_PROCESS, pid, 19)",
    "death of the parent": "libc.prctl(1, 9, 0, 0, 0)\nlibc.prctl(36, 1, 0, 0, 0)",
}  # fmt: skip
SENT = """
for fd in (reader, writer):
    tried(fcntl.fcntl, fd, F_SETSIG, SIGKILL)
    tried(lambda: fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | O_ASYNC))
    tried(fcntl.ioctl, fd, 0x5452, struct.pack("i", 1))
for _ in range(3):
    os.write(writer, b"x")
    os.read(reader, 1)
"""
# Each is refused with an error; what it names is then as it was.
REFUSED = {
    "locks of a file": "fd = os.open(path, os.O_RDONLY)\nassert tried(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB) "
    "== -1\n"
    "assert tried(fcntl.lockf, fd, fcntl.LOCK_SH | fcntl.LOCK_NB) == -1\nassert tried(fcntl.fcntl, fd, 37, bytes(32)) "
    "== -1",
    "a thread's list": "assert call('get_robust_list', pid, ctypes.create_string_buffer(8), "
    "ctypes.create_string_buffer(8)) == -1",
    "attributes by newer calls": "assert libc.syscall(463, -100, path.encode(), 0, b'user.x', bytes(16), 16) == -1\n"
    "assert libc.syscall(469, -100, path.encode(), bytes(64), 32, 0) == -1",
    "shared memory": "assert call('shmget', 1, 10, 0o666) == -1\nassert call('shmctl', 0, 0, None) == -1\nassert "
    "call('shmat', 0, None, 0) == -1",
    "what others do with files": "assert call('inotify_init1', 0) == -1\nassert call('inotify_add_watch', 0, "
    "path.encode(), 0xFFF) == -1",
    "attributes of a file": "assert tried(os.getxattr, path, 'user.x') == -1\nassert call('listxattr', path.encode(), "
    "None, 0) == -1",
    "typing into a terminal": "assert tried(fcntl.ioctl, 0, 0x5412, b'x') == -1",
}


@pytest.fixture(params=["root", "user", "landlock", "weak"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    wanted: sandbox.Mode = request.param
    if reason := sandbox._refusal(wanted):
        pytest.skip(f"not available here: {reason}")
    monkeypatch.setattr(sandbox, "_mode", lambda _: wanted)
    return wanted


@pytest.fixture
def sibling() -> Iterator["subprocess.Popen[str]"]:
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def start(sibling: "subprocess.Popen[str]") -> Iterator[str]:
    column = 0 if platform.machine() == "x86_64" else 1
    numbers = {name: pair[column] for name, pair in seccomp.REFUSED.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_text("intact")
        yield START.format(pid=sibling.pid, path=str(path), numbers=numbers)
        assert path.read_text() == "intact"


@pytest.mark.usefixtures("mode")
def test_no_program_reaches_another_process_of_its_user(sibling: "subprocess.Popen[str]", start: str) -> None:
    programs = [start + way + SENT for way in WAYS.values()]
    outcomes = sandbox.run_all([*programs, "assert True"], seconds=5.0, memory_bytes=MEMORY)
    assert sibling.poll() is None, "the sibling was killed"
    assert outcomes[-1].passed, "the sandbox itself lives too"


@pytest.mark.usefixtures("mode")
def test_what_could_harm_another_is_refused(start: str) -> None:
    outcomes = sandbox.run_all([start + way for way in REFUSED.values()], seconds=5.0, memory_bytes=MEMORY)
    hidden = (
        "FileNotFoundError",
        "PermissionError: [Errno 13]",
    )  # but for the weak mode, the file cannot even be opened
    assert {
        name: outcome.reason
        for name, outcome in zip(REFUSED, outcomes, strict=True)
        if not outcome.passed and not outcome.reason.startswith(hidden)
    } == {}


@pytest.mark.usefixtures("mode")
def test_what_a_program_may_do_to_its_own_files_is_allowed() -> None:
    program = """
import fcntl, os, sys
reader, writer = os.pipe()
os.set_blocking(reader, False); os.set_inheritable(reader, True)
fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | os.O_NONBLOCK)
assert os.dup(reader) > 2 and not sys.stdout.isatty() and open(os.__file__).read(1)
"""
    outcome = sandbox.run(program, seconds=5.0, memory_bytes=MEMORY)
    assert outcome.passed, outcome


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filters_end_on_every_path_and_judge_calls_as_listed(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    refused, unknown, allowed = "refused", "unknown", "allowed"
    fcntl, ioctl = (pair[column] for pair, _ in seccomp.CHOOSING.values())
    for command, flags, verdict in (
        (3, 0, allowed), (4, 0o4000, allowed), (4, 0o20000, refused), (4, 0o24000, refused), (8, 1, refused), (10, 9,
        refused), (15, 0, refused),
        (1024, 0, refused), (1026, 0, refused), (6, 0, refused), (37, 0, refused), (0x100000008, 0, refused),
        (0x100000003, 0, allowed), (1030, 0, allowed),
    ):  # fmt: skip
        assert judged(machine, fcntl, 3, command, flags) == verdict, (command, flags)
    for command, verdict in (
        (0x5401, allowed),
        (0x5452, refused),
        (0x8901, refused),
        (0x8902, refused),
        (0x5412, refused),
        (0x5421, allowed),
    ):
        assert judged(machine, ioctl, 3, command, 0) == verdict, hex(command)
    for number in (453, 463, 469, 5000):
        assert judged(machine, number) == unknown
    for pair in seccomp.REFUSED.values():
        if (wanted := pair[column]) is not None:
            assert judged(machine, wanted) == refused
    assert judged(machine, {"x86_64": 0, "aarch64": 63}[machine]) == allowed


def judged(machine: str, number: int, *arguments: int) -> str:
    """What the filter says of a call: a small interpreter of the instructions that it is made of."""
    import struct

    audit = seccomp.ARCHITECTURES[machine][1]
    data = struct.pack(
        "=iIQ6Q", number, audit, 0, *(value % 2**64 for value in (*arguments, *[0] * (6 - len(arguments))))
    )
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = loaded = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
        elif code == 0x06:
            return {0x7FFF0000: "allowed", 0x00050001: "refused", 0x00050026: "unknown"}.get(value, "killed")
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            at += yes if holds else no

"""Generated code against the sandbox: hostile programs, in every confinement this machine can give."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.sandbox import sandbox, seccomp
from configs.errors import BadInput

MEMORY = 256 * 1024 * 1024


@pytest.fixture(params=["root", "user", "landlock", "weak"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every mode in turn; those that the kernel or the user does not allow are left out."""
    wanted: sandbox.Mode = request.param
    if reason := sandbox._refusal(wanted):
        pytest.skip(f"not available here: {reason}")
    monkeypatch.setattr(sandbox, "_mode", lambda _: wanted)
    return wanted


def run(program: str, seconds: float = 5.0) -> sandbox.Outcome:
    return sandbox.run(program, seconds=seconds, memory_bytes=MEMORY)


def reached_end(program: str) -> bool:
    return run(program).passed


@pytest.mark.usefixtures("mode")
def test_programs_pass_at_their_end_and_fail_with_their_error() -> None:
    programs = [
        "print('hello')",
        "assert 1 + 1 == 3, 'bad sum'",
        "x = (",
        "import collections, math, re, json; assert math.gcd(12, 18) == 6",
        "print('ü' * 3)",
    ]
    outcomes = sandbox.run_all(programs, seconds=5.0, memory_bytes=MEMORY)
    assert [outcome.passed for outcome in outcomes] == [True, False, False, True, True]
    assert outcomes[0].output == "hello\n"
    assert outcomes[1].reason == "AssertionError: bad sum"
    assert outcomes[2].reason.startswith("SyntaxError")
    assert outcomes[4].output == "üüü\n"


LEAVING = (
    "import sys; sys.exit(0)",
    "raise SystemExit",
    "import os; os._exit(0)",
    "quit()",
    "raise KeyboardInterrupt",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import os; os.abort()",
    "import os; os.closerange(0, 256); os._exit(0)",
    "import sys, os; sys.stdout.close(); os._exit(0)",
    "import atexit, os; atexit.register(os._exit, 0); 1 / 0",
    """
import os
for fd in range(3, 64):
    try: os.write(fd, b"passed")
    except OSError: pass
os._exit(0)""",
    """
import gc, os
guesses = [x for x in gc.get_objects() if isinstance(x, bytes) and len(x) == 32] or [bytes(32)]
for fd in range(3, 64):
    for guess in guesses:
        try: os.write(fd, guess)
        except OSError: pass
os._exit(0)""",
)
ENDLESS = (
    "while True: pass",
    """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass""",
    """
class Slow(Exception):
    def __str__(self):
        while True: pass
raise Slow""",
)


@pytest.mark.usefixtures("mode")
def test_leaving_before_the_end_is_not_passing() -> None:
    outcomes = sandbox.run_all(LEAVING, seconds=5.0, memory_bytes=MEMORY)
    assert [program for program, outcome in zip(LEAVING, outcomes, strict=True) if outcome.passed] == []


@pytest.mark.usefixtures("mode")
def test_endless_programs_end() -> None:
    for outcome in sandbox.run_all(ENDLESS, seconds=0.3, memory_bytes=MEMORY):
        assert not outcome.passed
        assert outcome.reason == "still running after 0.3 seconds"
    asleep = run("import time; time.sleep(60)", seconds=0.1)
    assert not asleep.passed
    assert asleep.reason.startswith("not at its end after 0.6 seconds by the clock")


@pytest.mark.usefixtures("mode")
def test_time_that_a_program_only_waits_is_not_counted() -> None:
    """As on a machine that is busy with other things: the limit is of processor time."""
    waits = "import time\nend = time.monotonic() + 0.3\nwhile time.monotonic() < end: time.sleep(0.02)"
    outcome = run(waits, seconds=0.1)
    assert outcome.passed, outcome


@pytest.mark.usefixtures("mode")
def test_endless_output_is_cut() -> None:
    outcome = run("while True: print('x' * 1000)")
    assert not outcome.passed
    assert "printed more" in outcome.reason
    assert len(outcome.output) <= 64 * 1024


@pytest.mark.usefixtures("mode")
def test_a_memory_bomb_and_deep_recursion_stay_inside() -> None:
    programs = [
        "x = []\nwhile True: x.append(bytearray(10**7))",
        "x = 'a' * 10**12",
        "def f(): return f()\nf()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
    ]
    outcomes = sandbox.run_all([*programs, "assert True"], seconds=10.0, memory_bytes=64 * 1024 * 1024)
    assert [outcome.passed for outcome in outcomes] == [False, False, False, False, True]
    assert outcomes[0].reason == "MemoryError"
    assert outcomes[2].reason.startswith("RecursionError")


@pytest.mark.usefixtures("mode")
def test_no_process_can_be_started() -> None:
    bomb = "import os\nwhile True: os.fork()"
    starts = [
        bomb,
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import threading; threading.Thread(target=print).start()",
    ]
    assert not any(outcome.passed for outcome in sandbox.run_all(starts, seconds=5.0, memory_bytes=MEMORY))


def test_a_program_cannot_kill_or_limit_what_watches_it(mode: sandbox.Mode) -> None:
    kill = """
import os, resource, signal
for pid in (1, os.getppid(), -1, 0):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
"""
    limit = """
import os, resource
resource.prlimit(0, resource.RLIMIT_NOFILE)
for pid in (1, os.getppid()):
    try: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))
    except OSError: pass
    else: assert False, "limited another"
"""
    with sandbox._interpreter(mode, 5.0, MEMORY) as process:
        replies = [
            sandbox._ask(process, program.encode(), 10.0) for program in (kill, limit, "assert True", "assert False")
        ]
    assert all(replies), "the interpreter that watches is still there"
    assert [bool(reply and reply["passed"]) for reply in replies[1:]] == [True, True, False]


@pytest.mark.usefixtures("mode")
def test_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not reached_end(f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)")
        assert not reached_end(
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('8.8.8.8', 53))"
        )


@pytest.mark.usefixtures("mode")
def test_nothing_can_be_written_or_changed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    victim = tmp_path / "victim"
    victim.write_text("intact")
    victim.chmod(0o666)
    tries = [f"open({str(tmp_path / 'new')!r}, 'w').write('x')", f"open({str(victim)!r}, 'a').write('x')",
        f"import os; os.remove({str(victim)!r})",
             f"import os; os.rename({str(victim)!r}, {str(tmp_path / 'moved')!r})",
             f"import os; os.chmod({str(victim)!r}, 0o777)",
             f"import os; os.truncate({str(victim)!r}, 0)", "import os; "
                                                            f"os.mkdir({str(tmp_path / 'folder')!r})",
                                                            f"import os; os.utime({str(victim)!r})",
             "open('here', 'w')", "open('/tmp/there', 'w')", "import os; os.symlink('/', "
                                                             "'link')", "import os; os.mkdir('/proc')",
                                                             "import sys; open(sys.path[-1] + '/x.py', 'w')",
             "import tempfile; tempfile.TemporaryFile()"]  # fmt: skip
    assert not any(outcome.passed for outcome in sandbox.run_all(tries, seconds=5.0, memory_bytes=MEMORY))
    assert victim.read_text() == "intact"
    assert list(tmp_path.iterdir()) == [victim]


@pytest.mark.parametrize("mode", ["root", "user"], indirect=True)  # the weak mode says that files can be read
@pytest.mark.usefixtures("mode")
def test_nothing_of_the_machine_can_be_read() -> None:
    home = os.path.expanduser("~")
    files = ("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/1/mem", "/dev/sda", __file__)
    folders = ("/home", "/tmp", "/etc", "/var", os.path.dirname(__file__), os.path.join(home, ".ssh"))
    tries = [f"open({path!r}, 'rb').read(1)" for path in files] + [
        f"import os; os.listdir({path!r})" for path in folders
    ]
    assert [
        tried
        for tried, outcome in zip(tries, sandbox.run_all(tries, seconds=5.0, memory_bytes=MEMORY), strict=True)
        if outcome.passed
    ] == []
    listed = run("import os; print(*sorted(os.listdir('/')))").output.split()
    assert not {"etc", "home", "tmp", "proc", "dev", "var", "sys"} & set(listed)
    assert run("import os; print(os.getuid())").output == "65534\n"


def test_no_file_of_the_user_can_be_opened(mode: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk-canary")
    ways = [
        f"open({str(secret)!r}).read()",
        f"import os; os.open({str(secret)!r}, os.O_RDONLY)",
        f"import os; os.listdir({str(tmp_path)!r})",
        f"import os; os.open({str(tmp_path)!r}, os.O_RDONLY | os.O_DIRECTORY)",
        f"import os; os.chdir('/'); open({str(secret)[1:]!r})",
        "open('/proc/self/mem', 'rb')",
        "open('/etc/passwd')",
        f"import ctypes; assert ctypes.CDLL(None).open({str(secret).encode()!r}, 0) >= 0",
    ]
    outcomes = sandbox.run_all(
        [*ways, "import difflib, email.message, os; open(os.__file__).read()"], seconds=5.0, memory_bytes=MEMORY
    )
    readable = [way for way, outcome in zip(ways, outcomes, strict=False) if outcome.passed]
    assert bool(readable) == (mode == "weak"), readable
    assert "sk-canary" not in "".join(outcome.output for outcome in outcomes)
    assert outcomes[-1].passed, "what is the interpreter's own can be read"


@pytest.mark.usefixtures("mode")
def test_nothing_of_the_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-canary")
    assert run("import os; print(dict(os.environ), os.getenv('OPENAI_API_KEY'))").output == "{} None\n"
    assert reached_end("import sys; assert not any('site-packages' in p for p in sys.path)")


@pytest.mark.usefixtures("mode")
def test_programs_do_not_see_each_other_and_repeat_themselves() -> None:
    vandal = "import builtins, math; math.pi = 3; builtins.len = None; leak = 1"
    victim = "import math; assert math.pi > 3.1; assert len('ab') == 2; assert 'leak' not in globals()"
    assert sandbox.run_all([vandal, victim], seconds=5.0, memory_bytes=MEMORY)[1].passed
    chance = "import random; print(random.random(), list({'a', 'b', 'c', 'd', 'e'}))"
    assert run(chance).output == run(chance).output


@pytest.mark.usefixtures("mode")
def test_system_calls_that_gain_power_are_refused() -> None:
    program = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == -1
assert libc.ptrace(16, 1, 0, 0) == -1
assert libc.mount(b"none", b"/", b"tmpfs", 0, None) == -1
assert libc.chroot(b"/") == -1
assert libc.setuid(0) == -1 or libc.getuid() == 0
assert libc.memfd_create(b"x", 0) == -1
"""
    outcome = run(program)
    assert outcome.passed, outcome


def test_nothing_is_left_running(mode: str) -> None:
    def sandboxes() -> list[str]:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.split("\n") if f"sandbox_harness.py {mode} 0.25" in line]

    run("while True: pass", seconds=0.25)
    for _ in range(600):
        if not sandboxes():
            break
        time.sleep(0.1)
    assert sandboxes() == []


@pytest.mark.parametrize(("killed", "lost"), [({2}, None), ({1}, 0), ({2, 3}, 1)])
def test_a_dead_interpreter_costs_at_most_the_program_that_it_began_with(
    killed: set[int], lost: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = sandbox._ask
    asked: list[bytes] = []

    def kill_some(
        process: sandbox._Pair, message: bytes, patience: float, tests: bytes = b""
    ) -> dict[str, bool | str] | None:
        if message.startswith(b"assert"):
            asked.append(message)
            if len(asked) in killed:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        return usual(process, message, patience, tests)

    monkeypatch.setattr(sandbox, "_ask", kill_some)
    outcomes = sandbox.run_all(["assert 1", "assert 2", "assert 3"], seconds=5.0, memory_bytes=MEMORY)
    assert [outcome.passed for outcome in outcomes] == [number != lost for number in range(3)]
    assert lost is None or outcomes[lost].reason == "the sandbox died"


def test_a_batch_on_several_cores_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PER_PAIR", 1)
    slow_first = [
        f"import time; time.sleep({0.05 if n % 3 == 0 else 0}); print({n}); assert {n} % 4" for n in range(12)
    ]
    outcomes = sandbox.run_all(slow_first, seconds=5.0, memory_bytes=MEMORY)
    assert [(outcome.output, outcome.passed) for outcome in outcomes] == [(f"{n}\n", n % 4 != 0) for n in range(12)]


def test_an_interrupt_ends_what_runs_on_other_cores_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PER_PAIR", 1)
    usual = signal.signal(signal.SIGALRM, signal.default_int_handler)
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.6)
        with pytest.raises(KeyboardInterrupt):
            sandbox.run_all(["import time; time.sleep(600)"] * 4, seconds=100.0, memory_bytes=MEMORY)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    assert time.monotonic() - began < 300, "not by the limit of the clock"


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    usual = sandbox._refusal
    monkeypatch.setattr(
        sandbox,
        "_refusal",
        lambda mode: usual(mode) if mode in ("landlock", "weak") else f"{mode}: unshare: Operation not permitted",
    )
    sandbox._mode.cache_clear()
    yield
    sandbox._mode.cache_clear()


@pytest.mark.usefixtures("no_namespaces")
def test_without_namespaces_nothing_runs_unless_allowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("COGUMI_SANDBOX", raising=False)
    with pytest.raises(BadInput, match="COGUMI_SANDBOX=weak"):
        run("assert True")
    monkeypatch.setenv("COGUMI_SANDBOX", "weak")
    if not seccomp.program(os.uname().machine):
        pytest.skip("no system-call filter for this architecture")
    assert reached_end("assert True")
    assert reached_end("assert True")
    assert caplog.text.count("no namespaces here") == 1
    assert caplog.text.count("can read the files of this user") == (sandbox._refusal("landlock") is not None)


def test_an_unknown_architecture_has_no_filter() -> None:
    assert seccomp.program("vax") == b""
    assert len(seccomp.program("x86_64")) % 8 == 0


def test_no_programs_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_interpreter", None)
    assert sandbox.run_all([], seconds=1.0, memory_bytes=MEMORY) == []

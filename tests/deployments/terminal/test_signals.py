"""Ctrl-C, SIGTERM and SIGHUP in a command's first half second, while Python imports: one line and 130, 143 or 129,
never a traceback.

The moments are facts: the signal comes with the n-th import that the command begins. Before its first own instruction
the interpreter starts and ``site`` runs; what a signal does there no package settles.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BEGINNING = """
import os, sys
class Counting:
    seen = 0
    def find_spec(self, name, path, target=None):
        begun = sys.modules.get("deployments.terminal.signals")
        if begun is not None and getattr(begun, "command", False):
            Counting.seen += 1
            {at_import}
sys.meta_path.insert(0, Counting())
sys.argv[0] = "cogumi"
from deployments.start import main
main()
"""


def start(at_import: str, *arguments: str, home: Path, ignored: bool = False) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-c",
        ("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" if ignored else "")
        + BEGINNING.format(at_import=at_import),
        *arguments,
    ]
    env = {**os.environ, "COGUMI_HOME": str(home)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "moment", "command"),
    [
        (signal.SIGINT, 1, "--version"),
        (signal.SIGTERM, 1, "--version"),
        (signal.SIGINT, 100, "plan"),
        (signal.SIGTERM, 350, "plan"),
        (signal.SIGHUP, 350, "plan"),
        (signal.SIGINT, 700, "run"),
        (signal.SIGTERM, 1200, "run"),
    ],
)
def test_a_signal_amid_the_imports_is_one_line(
    number: signal.Signals, moment: int, command: str, tmp_path: Path
) -> None:
    process = start(
        f"if Counting.seen == {moment}: os.kill(os.getpid(), {int(number)})", command, home=tmp_path / "home"
    )
    out, told = process.communicate(timeout=280)
    assert (process.returncode, out, told) == (128 + number, "", "cogumi: interrupted\n")


def test_the_end_of_the_terminal_is_nothing_to_who_has_it_ignored(tmp_path: Path) -> None:
    """As nohup has."""
    process = start(
        f"if Counting.seen == 1: signal.raise_signal({int(signal.SIGHUP)})",
        "--version",
        home=tmp_path / "home",
        ignored=True,
    )
    out, told = process.communicate(timeout=280)
    assert (process.returncode, told) == (0, "")
    assert out.startswith("cogumi ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_when_all_is_done_changes_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """The last hook of all sends it: handlers of ours are no longer called."""
    last = f"Counting.seen == 1 and __import__('atexit').register(lambda: os.kill(os.getpid(), {int(number)}))"
    process = start(last, "--version", home=tmp_path / "home")
    out, told = process.communicate(timeout=280)
    assert (process.returncode, told) == (0, "")
    assert out.startswith("cogumi 0.")


@pytest.mark.all
@pytest.mark.parametrize("command", ["--version", "plan", "releases"])
def test_at_whatever_moment_it_comes_the_end_is_a_clean_one(command: str, tmp_path: Path) -> None:
    """Moments spread over the whole start, from the first instruction on; each of them may be any, and every end must
    be one of these."""
    for step in range(40):
        number = (signal.SIGINT, signal.SIGTERM)[step % 2]
        process = start(
            "if Counting.seen == 1: sys.stdout.write('begun\\n'); sys.stdout.flush()", command, home=tmp_path / "home"
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            process.wait(step * 0.05)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        _, told = process.communicate(timeout=280)
        assert (process.returncode, told) in {(0, ""), (128 + number, "cogumi: interrupted\n")}, step

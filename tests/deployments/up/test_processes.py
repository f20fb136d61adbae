"""What is swept is gone when the sweep ends: its port can be listened on, and it is not taken for a run that lives."""

import os
import signal
import subprocess
import sys

import pytest

from blocks.processes import started
from deployments.up import processes, up
from deployments.up.state_file import Running

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = b"x" * 300_000_000  # takes a moment to be given back
print("here", flush=True)
time.sleep(600)
"""


def test_what_must_be_killed_is_gone_when_the_sweep_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SWEEP_SECONDS", 0.5)
    child = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env={**os.environ, processes.MARK: "stubborn"}, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        assert processes.sweep("stubborn") == 1
        assert started(child.pid) is None
        assert child.wait() == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()


def test_one_that_ends_while_it_is_asked_to_is_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = Running(pid=child.pid, started=1.0, mark="m", api="http://127.0.0.1:1/api")
    monkeypatch.setattr(up, "running", lambda: gone)  # as it was an instant before
    up.down()
    assert capsys.readouterr().out == "down\n"

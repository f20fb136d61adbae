"""What the tests take for a living process."""

import os
import subprocess
import sys
import time

from tests.living import environment, living


def test_one_that_ended_and_that_nobody_has_asked_for_its_exit_code_is_not_living() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], env={**os.environ, "LIVING": "here"}, stdin=subprocess.PIPE
    )
    try:
        assert child.stdin is not None
        deadline = time.monotonic() + 60
        while (
            child.pid not in living("LIVING=here") and time.monotonic() < deadline
        ):  # until then it still has its parent's environment
            time.sleep(0.02)
        assert "LIVING=here" in environment(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as it is
        assert environment(child.pid) == []
        assert child.pid not in living("LIVING=here")
    finally:
        child.kill()
        child.wait()

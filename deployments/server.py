"""A Prefect server of this run's own, for runs without ``cogumi up``: on a free loopback port, gone when the run is gone.

Also after ``kill -9`` of the run: the kernel ends it. Prefect's own temporary server would live on. Not here: ``cogumi up`` (local.py).
"""

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

import httpx

from blocks.errors import CogumiError
from blocks.home import home

START_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1


def start_temporary() -> None:
    """Start a server and set ``PREFECT_API_URL``. It ends with this process, after Prefect has sent its last logs and events."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    logs = home() / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / "run-server.log").open("ab") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    atexit.register(_stop, server)  # before Prefect is imported: handlers run last in, first out
    os.environ["PREFECT_API_URL"] = api
    import flows.pipeline  # noqa: F401 - takes seconds, like the server's start: side by side

    wait_for(api, server, "run-server.log")


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(10)
    server.kill()
    server.wait()


def wait_for(api: str, server: "subprocess.Popen[bytes]", log: str) -> None:
    """Return when the API answers.

    Raises:
        CogumiError: the server ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CogumiError(f"the Prefect server ended with code {server.returncode}; see {home() / 'logs' / log}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{api}/health", timeout=2).is_success:
                return
        time.sleep(0.1)
    raise CogumiError(f"the Prefect server did not answer on {api} within {START_SECONDS:.0f} s; see {home() / 'logs' / log}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

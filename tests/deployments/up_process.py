"""A ``cogumi up`` that tests start, read and ask."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from deployments.noting import Running
from tests.deployments.test_cli import COGUMI
from tests.living import living


class Up:
    """One ``cogumi up`` in a state folder of its own, and the lines it printed."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self.home, self.lines = home, list[str]()
        own = {"COGUMI_HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"), **environment}
        env = {**os.environ, **own}
        env.pop("PREFECT_API_URL", None)
        self.process = subprocess.Popen([*COGUMI, "up", *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, text: str, seconds: float = 180) -> str:
        """The line with ``text``, when it comes."""
        return until(lambda: next((line for line in self.lines if text in line), None), seconds, lambda: f"{text!r} in {self.lines}, {self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-500:]}" for path in (self.home / "logs").glob("*.log"))

    @property
    def api(self) -> str:
        return self.says("api ").split()[1]

    def note(self) -> Running:
        return Running.model_validate_json((self.home / "up.json").read_text())

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(90)


def until(look: Callable[[], Any], seconds: float, otherwise: Callable[[], str]) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(otherwise())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def post(api: str, path: str, **body: Any) -> Any:
    answered = httpx.post(f"{api}{path}", json=body, timeout=30)
    answered.raise_for_status()
    return answered.json()


def workers(api: str, pool: str) -> list[str]:
    return [each["name"] for each in post(api, f"/work_pools/{pool}/workers/filter") if each["status"] == "ONLINE"]


def processes_of(mark: str) -> dict[int, str]:
    return living(f"COGUMI_UP={mark}")

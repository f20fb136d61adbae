"""A ``cogumi up`` that tests start, read and ask."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from deployments.up.state_file import Running
from tests.deployments.test_start import COGUMI
from tests.living import living
from tests.migrated import migrated

PATIENCE = 60  # seconds for one answer, whatever else the machine does
DEFAULT = {"PREFECT_API_AUTH_STRING": ""}  # no login is named, so that one is made
_made: dict[str, Path] = {}  # by the server's address, the state folder whose login it wants


class Up:
    """One ``cogumi up`` in a state folder of its own, and the lines it printed."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self.home, self.lines = home, list[str]()
        if "--api" not in arguments and not any(name.endswith("CONNECTION_URL") for name in environment):
            migrated(home)
        own = {
            "COGUMI_HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
            **environment,
        }
        env = {**os.environ, **own}
        env.pop("PREFECT_API_URL", None)
        self.process = subprocess.Popen(
            [*COGUMI, "up", *arguments],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, text: str, seconds: float = 300) -> str:
        """The line with ``text``, when it comes."""
        return until(
            lambda: next((line for line in self.lines if text in line), None),
            seconds,
            lambda: f"{text!r} in {self.lines}, {self.logs()}",
        )

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-500:]}" for path in (self.home / "logs").glob("*.log")
        )

    @property
    def api(self) -> str:
        return self.says("api ").split()[1]

    def made_its_login(self) -> str:
        """The login that was made here, where none was named; from now on it is what this server is asked with."""
        _made[self.api.rpartition("/")[0]] = self.home
        return (self.home / "login").read_text().strip()

    def note(self) -> Running:
        return Running.model_validate_json((self.home / "up.json").read_text())

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(180)


def until(look: Callable[[], Any], seconds: float, otherwise: Callable[[], str]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if (
            time.monotonic() > deadline
        ):  # after a look, so that there is a last one however long this process was not served
            raise AssertionError(otherwise())
        time.sleep(0.2)
    return found


def healthy(api: str) -> bool:
    try:
        return ask("GET", f"{api}/health").is_success
    except httpx.HTTPError:
        return False


def ask(method: str, url: str, body: Any = None) -> httpx.Response:
    """The answer. A server whose database is busy says 503 and is asked again, as Prefect's own clients do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answered = httpx.request(method, url, json=body, auth=login(url), timeout=PATIENCE, trust_env=False)
        if answered.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return answered
        time.sleep(0.5)


def login(url: str = "") -> tuple[str, str]:
    """The login that tests/conftest.py names, or that the server of ``url`` made."""
    made = next((home for server, home in _made.items() if url.startswith(server)), None)
    user, _, password = (
        (made / "login").read_text().strip().partition(":")
        if made
        else os.environ["PREFECT_API_AUTH_STRING"].partition(":")
    )
    return user, password


def get(api: str, path: str) -> Any:
    return ask("GET", f"{api}{path}").raise_for_status().json()


def post(api: str, path: str, **body: Any) -> Any:
    return ask("POST", f"{api}{path}", body).raise_for_status().json()


def workers(api: str, pool: str) -> list[str]:
    return [each["name"] for each in post(api, f"/work_pools/{pool}/workers/filter") if each["status"] == "ONLINE"]


def processes_of(mark: str) -> dict[int, str]:
    return living(f"COGUMI_UP={mark}")

"""``cogumi up`` and ``cogumi down`` with real processes: ready when it works, started again, joined, swept up after a kill."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments import database, processes
from deployments.local import Running
from tests.deployments.test_cli import COGUMI, cogumi
from tests.flows.test_clock_skew import FAKETIME

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CRASHED = "Cogumi: mark runs without heartbeat as crashed"


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


def post(api: str, path: str, **body: Any) -> Any:
    answered = httpx.post(f"{api}{path}", json=body, timeout=30)
    answered.raise_for_status()
    return answered.json()


def workers(api: str, pool: str) -> list[str]:
    return [each["name"] for each in post(api, f"/work_pools/{pool}/workers/filter") if each["status"] == "ONLINE"]


def processes_of(mark: str) -> dict[int, str]:
    return {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid, _ in processes._marked(mark)}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    here = Up(tmp_path_factory.mktemp("up"), "--port", str(free_port()), PREFECT_WORKER_QUERY_SECONDS="2", PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30")
    here.says("ready")
    yield here
    here.end()


def test_ready_means_that_a_run_can_be_submitted(up: Up) -> None:
    """A run from the API is taken by a worker at once and says clearly what was wrong with it."""
    assert [line.split()[0] for line in up.lines if not line.startswith("automation")] == ["api", "ui", "logs", "ready"]
    for pool in ("cpu", "gpu"):
        assert len(workers(up.api, pool)) == 1
    deployment = httpx.get(f"{up.api}/deployments/name/pipeline/nano").json()
    run = post(up.api, f"/deployments/{deployment['id']}/create_flow_run", parameters={"profile": "llama-70b"})
    ended = until(lambda: (got := httpx.get(f"{up.api}/flow_runs/{run['id']}").json())["state_type"] in {"FAILED", "CRASHED", "COMPLETED"} and got, 120, up.logs)
    assert ended["state_type"] == "FAILED"
    assert "unknown profile 'llama-70b'; there are: llama-1b, llama-8b, nano" in ended["state"]["message"]


def test_the_server_holds_queues_limits_blocks_and_automations(up: Up) -> None:
    queues = {queue["name"]: (queue["priority"], queue["concurrency_limit"]) for queue in post(up.api, "/work_pools/cpu/queues/filter")}
    assert queues == {"default": (1, None), "pipelines": (2, 2), "nightly": (3, 1)}
    limits = {each["name"]: each for each in post(up.api, "/v2/concurrency_limits/filter", limit=100)}
    assert limits["cogumi-gpt-4o-mini-requests"]["slot_decay_per_second"] == pytest.approx(5000 / 60)
    assert httpx.get(f"{up.api}/block_types/slug/teacher-credentials").is_success
    assert CRASHED in {each["name"] for each in post(up.api, "/automations/filter")}


def test_a_second_up_says_that_it_is_up(up: Up) -> None:
    done = cogumi("up", "--port", str(free_port()), home=up.home)
    assert (done.returncode, done.stdout) == (0, f"already up  {up.api}\nready\n")


def test_a_worker_that_is_killed_is_started_again(up: Up) -> None:
    (before,) = [pid for pid, command in processes_of(up.note().mark).items() if "worker start --pool gpu" in command]
    os.kill(before, signal.SIGKILL)
    up.says("the worker of pool gpu ended with code -9 and was started again")
    until(lambda: [pid for pid, command in processes_of(up.note().mark).items() if "worker start --pool gpu" in command and pid != before], 30, up.logs)


def test_a_failed_gate_is_told_by_the_block_of_that_name(up: Up) -> None:
    """Event → automation → notification block → somebody who listens."""
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        script = f"""
import asyncio, json, uuid
from prefect import get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events import emit_event
from deployments.automating import automate
form = {{"subject": "{{{{subject}}}}", "body": "{{{{body}}}}"}}
CustomWebhookNotificationBlock(name="cogumi-notices", url="http://127.0.0.1:{listener.server_port}", method="POST", json_data=form).save("cogumi-notices")
async def apply():
    async with get_client() as client:
        print(await automate(client))
asyncio.run(apply())
import time; time.sleep(3)
emit_event("cogumi.gate.failed", resource={{"prefect.resource.id": "cogumi.run.1234"}}, payload={{"gate": "release", "message": "size = 9, must be <= 8"}})
"""
        environment = {**os.environ, "PREFECT_API_URL": up.api, "COGUMI_HOME": str(up.home)}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]", "no automation waits for a block any more"
        until(lambda: heard, 60, lambda: f"nothing was sent; {up.logs()}")
        listener.shutdown()
    told = json.loads(heard[0])
    assert told["subject"] == "Cogumi: cogumi.gate.failed"
    assert "cogumi.run.1234" in told["body"]
    assert "size = 9, must be <= 8" in told["body"]


def test_a_pool_that_is_not_there_names_those_that_are(up: Up, tmp_path: Path) -> None:
    done = cogumi("up", "--pool", "gqu", "--api", up.api, home=tmp_path)
    assert done.returncode == 2
    assert f"there is no work pool 'gqu' on {up.api}; there are: cpu, gpu" in done.stderr


def test_a_clock_that_is_wrong_is_told_before_a_worker_joins(up: Up, tmp_path: Path) -> None:
    done = cogumi("up", "--pool", "gqu", "--api", up.api, home=tmp_path, LD_PRELOAD=str(FAKETIME), FAKETIME="-1h", DONT_FAKE_MONOTONIC="1")
    assert re.search(r"warning: this machine's clock is 3[56]\d\d s behind the server's, so a worker here takes runs that much too late", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--api", "http://127.0.0.1:9/api"], "no Prefect server answers at http://127.0.0.1:9/api"),
        (["--api", "127.0.0.1:4200"], "write the address that `cogumi up` printed"),
        (["--api", "http://127.0.0.1:4200/api", "--database", "postgresql://x/y"], "--database belongs to the server that is started"),
        (["--server-only", "--pool", "gpu"], "give one of them"),
        (["--database", "mysql://root:hunter2@h/d"], "--database mysql://root@h/d: write postgresql://"),
        (["--database", "postgresql://me:hunter2@127.0.0.1:9/d"], "cannot use postgresql://me@127.0.0.1:9/d as Prefect's database"),
    ],
)
def test_what_cannot_be_is_one_clear_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = cogumi("up", "--port", str(free_port()), *arguments, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
    assert "hunter2" not in done.stderr


def test_no_password_is_shown() -> None:
    assert database.shown("postgresql://me:p%40ss@db.example:5432/prefect?password=x") == "postgresql://me@db.example:5432/prefect"
    assert database.shown("postgresql:///prefect") == "postgresql:///prefect"


@pytest.mark.all
def test_a_worker_elsewhere_joins_and_leaves(up: Up, tmp_path: Path) -> None:
    """As on another machine: a state folder of its own, no server, no deployments."""
    there = Up(tmp_path, "--pool", "gpu", "--api", up.api)
    there.says("ready")
    until(lambda: len(workers(up.api, "gpu")) == 2, 30, there.logs)
    assert not (tmp_path / "prefect" / "prefect.db").exists()
    assert all("server_command" not in command for command in processes_of(there.note().mark).values())
    mark = there.note().mark
    assert cogumi("down", home=tmp_path).stdout == "down\n"
    assert there.process.wait(10) == 0
    assert processes_of(mark) == {}
    assert httpx.get(f"{up.api}/health").is_success, "what it joined goes on"


@pytest.mark.all
@pytest.mark.timeout(900)
def test_a_run_whose_processes_were_killed_is_marked_crashed(up: Up) -> None:
    """Worker and run both gone with kill -9: nobody is left to report it but the automation, here with a shorter patience."""
    script = """
from datetime import timedelta
from prefect import get_client
from deployments import automating
made = automating.automation(automating.FOLDER / "crashed.yaml", {})
made.trigger.within = timedelta(seconds=45)
with get_client(sync_client=True) as client:
    (found,) = client.read_automations_by_name(made.name)
    client.update_automation(found.id, made)
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PREFECT_API_URL": up.api, "COGUMI_HOME": str(up.home)}, check=True)
    deployment = httpx.get(f"{up.api}/deployments/name/pipeline/nano").json()
    run = post(up.api, f"/deployments/{deployment['id']}/create_flow_run", parameters={"until": "dataset"})

    def state() -> str:
        return str(httpx.get(f"{up.api}/flow_runs/{run['id']}").json()["state_type"])

    until(lambda: state() == "RUNNING", 120, up.logs)
    time.sleep(10)  # its first heartbeat is on its way
    for pid, command in sorted(processes_of(up.note().mark).items()):
        if "worker start --pool cpu" in command or ("server_command" not in command and "uvicorn" not in command and "worker start" not in command):
            os.kill(pid, signal.SIGKILL)
    assert state() == "RUNNING", "nobody was left to tell"
    until(lambda: state() == "CRASHED", 240, lambda: f"{state()}; {up.logs()}")


def test_after_a_kill_the_next_down_sweeps_up_and_touches_nothing_else(up: Up, tmp_path: Path) -> None:
    """Last in this file: it ends what the others used."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "prefect", "worker", "start", "--pool", "gpu"])
    try:
        mark, port = up.note().mark, int(re.findall(r":(\d+)/api", up.api)[0])
        (worker,) = [pid for pid, command in processes_of(mark).items() if "worker start --pool cpu" in command]
        os.kill(worker, signal.SIGSTOP)  # one that does not hear the kernel's request to end
        up.process.kill()
        up.process.wait()
        assert processes_of(mark)
        assert cogumi("down", home=up.home).stdout == "cleaned up after a `cogumi up` that was killed\n"
        assert processes_of(mark) == {}
        assert stranger.poll() is None
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        assert cogumi("down", home=up.home).stdout == "nothing is up\n"
    finally:
        stranger.kill()
        stranger.wait()

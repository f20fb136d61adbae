"""A run whose Prefect server fails at a request says so in one line, and a fault of the run itself is left as it is."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prefect import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.storage import home
from configs.errors import BadInput, CogumiError
from deployments.commands.run import find_server
from deployments.up.servers import login
from deployments.up.servers.own_server import keep_port, watched
from deployments.up.state_file import note


class Broken(BaseHTTPRequestHandler):
    """A server whose database cannot be written: it reads a request and answers ``status``."""

    status = 500

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Broken]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        api = f"http://127.0.0.1:{listening.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", api)
        monkeypatch.setattr(Broken, "status", Broken.status)
        with temporary_settings({PREFECT_API_URL: api}):
            yield Broken
        listening.shutdown()


def ask() -> None:
    with get_client(sync_client=True) as client:
        client.create_concurrency_limit("tag", 1)


def test_a_server_that_fails_is_one_clear_line(server: type[Broken]) -> None:
    line = (
        r"^the Prefect server at http://127.0.0.1:\d+/api answered 500 at /api/concurrency_limits/; .+, and run "
        r"again: finished steps are kept$"
    )
    with pytest.raises(CogumiError, match=line), watched():
        ask()


def test_a_server_that_wants_another_login_is_one_clear_line(server: type[Broken]) -> None:
    server.status = 401
    with (
        pytest.raises(
            BadInput,
            match=r"^the Prefect server at http://127.0.0.1:\d+/api wants another login; set PREFECT_API_AUTH_STRING "
            r"to the one in the file",
        ),
        watched(),
    ):
        ask()


def test_the_login_of_an_up_of_this_state_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (login.SERVER, login.CLIENT, "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")
    made = login.made()
    note("mark", "http://127.0.0.1:1/api", None)
    find_server()
    assert (os.environ["PREFECT_API_URL"], os.environ[login.CLIENT]) == ("http://127.0.0.1:1/api", made)
    for named, used in (("http://127.0.0.1:1/api", made), ("http://elsewhere:1/api", "")):
        monkeypatch.setenv("PREFECT_API_URL", named)
        monkeypatch.setenv(login.CLIENT, "")
        find_server()
        assert (os.environ["PREFECT_API_URL"], os.environ[login.CLIENT]) == (named, used), "it goes to no other server"
    monkeypatch.setenv(login.CLIENT, "me:mine")
    monkeypatch.setenv("PREFECT_API_URL", "")
    find_server()
    assert os.environ[login.CLIENT] == "me:mine"


def test_what_a_server_understood_and_refused_is_no_fault_of_its_own(server: type[Broken]) -> None:
    server.status = 409
    with pytest.raises(PrefectHTTPStatusError), watched():
        ask()


UNSENT = """
from blocks.storage.home import configure_prefect
configure_prefect()
from prefect.logging.handlers import APILogWorker
from deployments.terminal.console import attach
attach()
APILogWorker.instance().send({"name": "cogumi", "level": 20, "message": "a line", "timestamp": "2026-01-01T00:00:00Z"})
APILogWorker.drain_all(timeout=60)
"""


def test_a_log_line_that_the_server_does_not_take_is_not_told_in_the_middle_of_the_runs_own(
    server: type[Broken],
) -> None:
    done = subprocess.run([sys.executable, "-c", UNSENT], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_room_the_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.no_room() == ""
    monkeypatch.setattr(home, "NO_ROOM", 1 << 62)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        pytest.raises(BadInput, match=r"is gone .* is full .*, and run again: finished steps are kept"),
        watched(),
    ):
        ask()


def test_a_lost_connection_to_another_than_prefects_server_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:2/api")
    with pytest.raises(httpx.ConnectError), watched():
        httpx.get("http://127.0.0.1:1/data.jsonl")


def test_a_fault_of_the_run_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="ours"), watched():
        raise RuntimeError("ours")


def test_an_address_that_answers_as_no_prefect_server_is_one_clear_line_without_its_password(
    server: type[Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", os.environ["PREFECT_API_URL"].replace("//", "//me:verysecret@"))
    with (
        pytest.raises(
            CogumiError,
            match=r"server at http://me@127.0.0.1:\d+/api does not answer as one; start it again, or correct or unset "
            r"PREFECT_API_URL",
        ) as told,
        watched(),
    ):
        raise RuntimeError("Failed to reach API at http://me:verysecret@127.0.0.1/api/")
    assert "verysecret" not in str(told.value)


def test_an_address_that_is_none_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[str]()
    monkeypatch.setattr(
        "deployments.up.servers.own_server.start_temporary",
        lambda: started.append(os.environ.get("PREFECT_API_URL", "not set")),
    )
    monkeypatch.setenv("PREFECT_API_URL", "localhost:4200/api")
    with pytest.raises(BadInput, match=r"PREFECT_API_URL 'localhost:4200/api' is no address"):
        find_server()
    monkeypatch.setenv("PREFECT_API_URL", "")
    find_server()
    assert started == ["not set"], "set to nothing is not set"
    monkeypatch.setenv("PREFECT_API_URL", " http://127.0.0.1:1/api\n")
    find_server()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert len(started) == 1


def test_a_kept_port_is_nobody_elses_and_is_listened_on_again_and_again() -> None:
    with keep_port() as kept:
        port = kept.getsockname()[1]
        for _ in range(2):
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


NEW_CLIENT = """
import os, signal
from blocks.storage.home import configure_prefect
configure_prefect()
from deployments.up.servers import own_server
own_server.start_temporary()
first = own_server._own.process
os.kill(first.pid, signal.SIGKILL)
first.wait()
from prefect import get_client
with get_client(sync_client=True) as client:
    client.hello().raise_for_status()
    client.read_flows()
import httpx
assert httpx.post(f"{own_server._own.api}/flows/filter", json={}).status_code == 401
assert httpx.get(f"{own_server._own.api}/health", headers={"Host": "evil.example"}).status_code == 403
assert httpx.get(f"{own_server._own.api}/health", headers={"Origin": "http://evil.example"}).status_code == 403
own_server.stop_temporary()
"""


@pytest.mark.slow
def test_a_new_client_waits_for_a_server_that_is_started_again_and_answers_nobody_else(tmp_path: Path) -> None:
    environment = {**os.environ, "COGUMI_HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    for name in ("PREFECT_API_URL", login.CLIENT):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", NEW_CLIENT], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr

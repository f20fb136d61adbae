"""Runs that a killed or stopped ``cogumi up`` or worker leaves hold no slot: they are marked as crashed at once, those
that live are left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.up import processes
from tests.deployments.idling import idling, offer_command
from tests.deployments.up.test_prefect_yaml import ROOT
from tests.deployments.up_process import Up, get, post, processes_of, until
from tests.living import kill, living
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 150  # seconds; the automations take five minutes and half an hour


def started(home: Path) -> Up:
    return Up(home, "--port", str(free_port()), "--pool", "cpu", PREFECT_WORKER_QUERY_SECONDS="1", PYTHONPATH=str(ROOT))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orphans")


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[Up]:
    with started(home) as here:
        here.says("ready")
        with temporary_settings({PREFECT_API_URL: here.api}), get_client(sync_client=True) as client:
            client.create_deployment(
                flow_id=client.create_flow(idling),
                name="cpu",
                work_pool_name="cpu",
                entrypoint="tests.deployments.idling.idling",
            )
            offer_command(client, "cpu")
        yield here


def submit(up: Up, **job_variables: str) -> str:
    deployment = get(up.api, "/deployments/name/idling/cpu")["id"]
    run: dict[str, Any] = post(
        up.api, f"/deployments/{deployment}/create_flow_run", parameters={"seconds": 600}, job_variables=job_variables
    )
    return str(run["id"])


def state(up: Up, run: str) -> dict[str, Any]:
    found: dict[str, Any] = get(up.api, f"/flow_runs/{run}")["state"]
    return found


def becomes(up: Up, run: str, name: str) -> dict[str, Any]:
    until(lambda: state(up, run)["name"] == name, PATIENCE, lambda: f"{state(up, run)}; {up.lines}; {up.logs()}")
    return state(up, run)


def kill_worker(up: Up) -> None:
    kill(*(pid for pid, command in processes_of(up.note().mark).items() if "worker start --pool cpu" in command))


def kill_run(run: str) -> None:
    kill(*living(f"PREFECT__FLOW_RUN_ID={run}"))


@pytest.mark.all
def test_a_run_outlives_its_worker_and_is_marked_when_it_dies(up: Up) -> None:
    run = submit(up)
    becomes(up, run, "Running")
    kill_worker(up)
    up.says("the worker of pool cpu ended with code -9")
    with pytest.raises(AssertionError):  # longer than it takes to look
        until(lambda: state(up, run)["name"] != "Running", 12, lambda: "it lives")
    kill_run(run)
    crashed = becomes(up, run, "Crashed")
    assert crashed["message"].endswith(
        "is gone, and the process of this run too. Run it again, finished steps come from the cache."
    )


@pytest.mark.all
def test_a_run_that_never_came_to_its_code_is_marked(up: Up) -> None:
    run = submit(up, command="sleep 300")
    until(lambda: run in processes.flow_runs(), PATIENCE, up.logs)
    assert state(up, run)["type"] == "PENDING"
    kill_worker(up)
    kill_run(run)
    assert "the process of this run too" in becomes(up, run, "Crashed")["message"]


def test_after_a_kill_of_it_all_the_next_one_marks_what_was_under_way(up: Up, home: Path) -> None:
    """Last in this file: it ends what the others used. And what is stopped in good order says so itself."""
    run = submit(up)
    becomes(up, run, "Running")
    mark = up.note().mark
    kill(up.process.pid, *processes_of(mark))  # at one blow: a worker that hears of its end says so to the server
    up.process.wait()
    kill(*processes_of(mark))
    with started(home) as again:
        again.says("ready")
        assert state(again, run)["name"] == "Crashed"
        second = submit(again)
        becomes(again, second, "Running")
        assert again.end() == 0
    with sqlite3.connect(home / "prefect" / "prefect.db") as database:
        assert database.execute("select state_type from flow_run where id = ?", (second,)).fetchone() == ("CRASHED",)
    assert list((home / "workers").iterdir()) == []

"""Automations on a real server, fired by what really happened, told to somebody who listens. Only their patience is
shorter here."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import EventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry
from prefect.types._datetime import now

from blocks.records import GateCheck
from configs.errors import BudgetSpent
from deployments.up import automations
from tasks.evaluation.gates import gate
from tasks.step import step
from tests.deployments.idling import idling, offer_command
from tests.deployments.up.test_prefect_yaml import ROOT
from tests.deployments.up_process import Up, ask, post, processes_of, until
from tests.living import kill
from tests.ports import free_port

pytestmark = [pytest.mark.all, pytest.mark.timeout(1800)]
BLOCK = "cogumi-notices"
BEAT = 30  # seconds, the least that Prefect takes
SETTINGS = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT),
    "PYTHONPATH": str(ROOT),
}
HANGS = {"command": "sleep 100"}  # a process that never comes to the run


class Here(NamedTuple):
    """A ``cogumi up`` with every automation, and what their messages say."""

    up: Up
    heard: list[dict[str, str]]
    listener: HTTPServer


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    heard: list[dict[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with Up(tmp_path_factory.mktemp("firing"), "--port", str(free_port()), **SETTINGS) as up:
        up.says("ready")
        with HTTPServer(("127.0.0.1", 0), Listener) as listener, temporary_settings({PREFECT_API_URL: up.api}):
            threading.Thread(target=listener.serve_forever, daemon=True).start()
            form = {"subject": "{{subject}}", "body": "{{body}}"}
            url = f"http://127.0.0.1:{listener.server_port}"
            CustomWebhookNotificationBlock(name=BLOCK, url=url, method="POST", json_data=form).save(BLOCK)
            assert asyncio.run(automate()) == [], "no automation waits for a block any more"
            with get_client(sync_client=True) as client:
                for pool in ("cpu", "gpu"):
                    deploy(client, pool)
                offer_command(client, "cpu")
            yield Here(up, heard, listener)
            listener.shutdown()


async def automate() -> list[str]:
    async with get_client() as client:
        return await automations.automate(client)


def deploy(client: SyncPrefectClient, pool: str) -> None:
    client.create_deployment(
        flow_id=client.create_flow(idling), name=pool, work_pool_name=pool, entrypoint="tests.deployments.idling.idling"
    )


def sooner(name: str, seconds: float) -> None:
    """The automation as it is shipped, but for how long it waits."""
    with get_client(sync_client=True) as client:
        blocks = {BLOCK: client.read_block_document_by_name(BLOCK, "custom-webhook").id}
        made = automations.automation(automations.FOLDER / f"{name}.yaml", blocks)
        assert isinstance(made.trigger, EventTrigger)
        made.trigger.within = timedelta(seconds=seconds)
        (found,) = client.read_automations_by_name(made.name)
        client.update_automation(found.id, made)
    time.sleep(12)  # the server looks for changed automations every five seconds


def start(pool: str, seconds: float, job_variables: dict[str, Any] | None = None) -> UUID:
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"idling/{pool}")
        return client.create_flow_run_from_deployment(
            deployment.id, parameters={"seconds": seconds}, job_variables=job_variables
        ).id


def read(run: UUID) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run)


def named(run: UUID) -> str:
    state = read(run).state
    return state.name if state is not None else ""


def becomes(run: UUID, name: str, here: Here, seconds: float = 300) -> None:
    until(lambda: named(run) == name, seconds, lambda: f"{read(run).state}; {here.up.logs()}")


def events(here: Here, run: UUID) -> list[dict[str, Any]]:
    """What the server keeps of a run's events, oldest first."""
    found: list[dict[str, Any]] = post(
        here.up.api,
        "/events/filter",
        limit=50,
        filter={"resource": {"id": [f"prefect.flow-run.{run}"]}, "order": "ASC"},
    )["events"]
    return found


@step(version=1)
def overspend() -> None:
    raise BudgetSpent("budget nano: 0.02 of 0.02 dollars are spent")


@flow
def stopping(size: float) -> None:
    gate("release", [GateCheck(name="size", value=size, rule="<=", threshold=8)])
    overspend()


def test_a_failed_gate_and_a_spent_budget_are_told(here: Here) -> None:
    """Event → automation → notification block → somebody who listens."""
    here.heard.clear()
    for size, name in (
        (9, "night-one"),
        (7, "night-two"),
    ):  # in a process of its own: this one may still send its events to the server of another file
        code = (
            f"from {__name__} import stopping; assert stopping.with_options(flow_run_name={name!r})({size}, "
            "return_state=True).is_failed()"
        )
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PREFECT_API_URL": here.up.api},
            cwd=ROOT,
            check=True,
            timeout=280,
        )
    until(lambda: len(here.heard) == 2, 180, lambda: f"{here.heard}; {here.up.logs()}")
    gate_failed, spent = here.heard
    assert gate_failed["subject"] == "Cogumi: gate failed in night-one"
    assert re.fullmatch(
        r"phase: stopping\ngate: release\nsize: 9, must be <= 8\ncogumi report (\S+)\nhttp://\S+/runs/flow-run/\1",
        gate_failed["body"],
    )
    assert spent["subject"] == "Cogumi: budget spent in night-two"
    assert "step: overspend\nmessage: budget nano: 0.02 of 0.02 dollars are spent\n" in spent["body"]


def test_a_run_that_never_starts_is_marked_also_when_it_is_its_second_time(here: Here) -> None:
    sooner("never-started", 60)
    once = start("cpu", 0, HANGS)
    twice = start("cpu", -1)
    becomes(twice, "Failed", here)
    with get_client(sync_client=True) as client:
        later = now("UTC") + timedelta(
            seconds=24
        )  # a worker looks ten ahead; and while the wait after the first time is still on
        client.set_flow_run_state(
            twice, AwaitingRetry(scheduled_time=later), force=True
        )  # as the UI's Retry, but for the time
        client.update_flow_run(twice, job_variables=HANGS)
    becomes(once, "Crashed", here)
    becomes(twice, "Crashed", here)
    for run in (once, twice):
        state = read(run).state
        assert state is not None
        assert state.message is not None
        assert state.message.startswith("A worker took this run half an hour ago and never started it.")


def test_an_idle_gpu_is_told_once_and_not_while_another_run_goes_on(here: Here, tmp_path: Path) -> None:
    """One run ends beside another whose heartbeats alone say that the pool is in use; a third follows at once, and only
    its end begins the wait."""
    sooner("idle-gpu", 50)
    ask("PATCH", f"{here.up.api}/work_pools/gpu", {"concurrency_limit": 2}).raise_for_status()
    with Up(tmp_path, "--pool", "gpu", "--api", here.up.api, **SETTINGS) as second:
        second.says("ready")
        here.heard.clear()
        long, short = start("gpu", 80), start("gpu", 15)
        becomes(short, "Completed", here)
        assert named(long) == "Running"
        becomes(long, "Completed", here)
        third = start("gpu", 0)
        becomes(third, "Completed", here)
        assert here.heard == []
        until(lambda: here.heard, 180, here.up.logs)
    assert [told["subject"] for told in here.heard] == ["Cogumi: pool gpu is idle"]
    seen = events(here, long)
    kinds = [one["event"].rpartition(".")[2] for one in seen]
    beats = kinds.count("heartbeat")
    assert kinds == ["Scheduled", "Pending", "Submitting", "Running", *beats * ["heartbeat"], "Completed"]
    assert 3 <= beats <= read(long).total_run_time.total_seconds() // BEAT + 1, (
        "more than three only where the run took longer"
    )
    for one in seen:
        assert [
            each["prefect.resource.name"] for each in one["related"] if each["prefect.resource.role"] == "work-pool"
        ] == ["gpu"], "by which the automation knows it"


def test_a_run_whose_machine_is_gone_is_marked_crashed(here: Here, tmp_path: Path) -> None:
    """Worker, run and the `cogumi up` that joined, all gone with kill -9: nobody is left to report it but the
    automation."""
    sooner("crashed", 60)
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="far", type="process"))
        deploy(client, "far")
    with Up(tmp_path, "--pool", "far", "--api", here.up.api, **SETTINGS) as far:
        far.says("ready")
        run = start("far", 600)
        becomes(run, "Running", here)
        until(lambda: any(one["event"].endswith("heartbeat") for one in events(here, run)), 90, here.up.logs)
        mark = far.note().mark
        kill(far.process.pid, *processes_of(mark))  # at one blow: a worker that hears of its end says so to the server
        assert far.process.wait() == -signal.SIGKILL
        kill(*processes_of(mark))
    assert named(run) == "Running", "nobody was left to tell"
    becomes(run, "Crashed", here, 240)
    state = read(run).state
    assert state is not None
    assert state.message is not None
    assert state.message.startswith("No heartbeat for five minutes")

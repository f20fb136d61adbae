"""What a run leaves in its history and on its server: steps, gates, budget, release; read back after the run."""

import json
import os
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import State, flow
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL

from blocks import store
from blocks.journal import history
from blocks.records import Artifact, GateCheck
from configs.errors import BudgetSpent, GateFailed
from tasks.evaluation.gates import gate
from tasks.release.current import promote
from tasks.step import step

pytestmark = pytest.mark.usefixtures("prefect_server")


@step(version=1)
def write(text: str) -> Artifact:
    with store.create("text") as folder:
        (folder.path / "text").write_text(text)
    return folder.artifact


@step(version=1)
def overspend() -> None:
    raise BudgetSpent("budget nano: nothing is left")


def check(value: float) -> GateCheck:
    return GateCheck(name="size", value=value, rule="<=", threshold=2.0)


@flow
def inner(text: str) -> Artifact:
    return write(text)


@flow
def outer(value: float, spend: bool = False) -> None:
    made = inner("a text")
    write("a text")
    gate("size", [check(value), check(1.0)])
    promote(made, made, keep=1)
    if spend:
        overspend()


def events(run: str) -> list[dict[str, Any]]:
    """The events that the server has about a run; they arrive in the background."""
    body = json.dumps({"limit": 50, "filter": {"resource": {"id": [f"cogumi.run.{run}"]}}}).encode()
    request = urllib.request.Request(
        f"{PREFECT_API_URL.value()}/events/filter", body, {"Content-Type": "application/json"}
    )
    request.add_header("Authorization", f"Basic {b64encode(os.environ['PREFECT_API_AUTH_STRING'].encode()).decode()}")
    with urllib.request.urlopen(request, timeout=60) as reply:
        found: list[dict[str, Any]] = json.load(reply)["events"]
    return sorted(found, key=lambda one: str(one["occurred"]))


def events_of(run: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 120
    while len(found := events(run)) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


Told = Callable[[str], list[history.Happening]]


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def runs(lasting: Path, prefect_server: None) -> dict[str, State[None]]:
    """Four runs that end differently, and a home that has their history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(lasting))
        ends = (("good", 1.0, False), ("again", 1.0, False), ("large", 3.0, False), ("poor", 1.0, True))
        return {name: outer(value, spend, return_state=True) for name, value, spend in ends}


@pytest.fixture
def told(runs: dict[str, State[None]], lasting: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setenv("COGUMI_HOME", str(lasting))
    return lambda name: history.read(history.happenings.c.run == str(runs[name].state_details.flow_run_id))


def test_a_run_is_told_step_by_step_and_belongs_to_the_outermost_flow(runs: dict[str, State[None]], told: Told) -> None:
    rows = told("good")
    assert [(row.flow, row.what, row.name, row.outcome) for row in rows] == [
        ("inner", "step", "write", "ran"),
        ("outer", "step", "write", "cached"),
        ("outer", "gate", "size", "passed"),
        ("outer", "step", "gate", "ran"),
        ("outer", "release", rows[4].name, "promoted"),
    ]
    assert rows[0].flow_run != rows[0].run == rows[1].flow_run
    assert rows[0].detail["artifacts"] == rows[1].detail["artifacts"] == [rows[4].name]
    assert rows[2].detail["checks"][0] == {"name": "size", "value": 1.0, "rule": "<=", "threshold": 2.0, "passed": True}
    assert [row.outcome for row in told("again") if row.what == "release"] == ["kept"]
    found = events_of(rows[0].run, 2)
    assert [one["event"] for one in found] == ["cogumi.gate.passed", "cogumi.release.promoted"]
    assert found[0]["payload"] == {"phase": "outer", "gate": "size", "size": "1, must be <= 2"}
    assert {
        "prefect.resource.id": f"prefect.flow-run.{rows[0].run}",
        "prefect.resource.role": "flow-run",
    }.items() <= found[0]["related"][0].items()


def test_a_failed_gate_and_a_spent_budget_are_told_with_their_numbers(runs: dict[str, State[None]], told: Told) -> None:
    with pytest.raises(GateFailed):
        runs["large"].result()
    rows = [row for row in told("large") if row.outcome == history.FAILED]
    assert [(row.what, row.name) for row in rows] == [("gate", "size"), ("step", "gate")]
    assert [one["passed"] for one in rows[0].detail["checks"]] == [False, True]
    assert rows[1].detail["error"] == "GateFailed: gate size: size = 3, must be <= 2"
    assert [(one["event"], one["payload"]["size"]) for one in events_of(rows[0].run, 1)] == [
        ("cogumi.gate.failed", "3, must be <= 2")
    ]
    with pytest.raises(BudgetSpent):
        runs["poor"].result()
    rows = told("poor")
    assert [row.outcome for row in rows][-2:] == ["failed", "spent"]
    assert events_of(rows[0].run, 2)[-1]["payload"] == {
        "phase": "outer",
        "step": "overspend",
        "message": "budget nano: nothing is left",
    }


@flow
def refusing() -> Artifact:
    """A night whose candidate is not surely better."""
    made = write("a candidate")
    history.release_refused(made, "gain +0.5 [-1.0, +2.0] points is not surely above 0")
    return made


def test_events_of_releases_say_which_and_why_and_lead_to_the_run(told: Told) -> None:
    state = refusing.with_options(flow_run_name="night")(return_state=True)
    run = str(state.state_details.flow_run_id)
    (refused,) = events_of(run, 1)
    assert refused["event"] == "cogumi.release.refused"
    assert refused["payload"] == {
        "phase": "refusing",
        "release": state.result().digest,
        "why": "gain +0.5 [-1.0, +2.0] points is not surely above 0",
    }
    (promoted,) = [one for one in events_of(told("good")[0].run, 2) if one["event"] == "cogumi.release.promoted"]
    release = told("good")[-1].detail["release"]
    assert promoted["payload"].keys() == {"phase", "release", "uri", "report"}
    assert (promoted["payload"]["release"], promoted["payload"]["uri"].rpartition("/")[2]) == (release, release)
    assert refused["resource"] == {"prefect.resource.id": f"cogumi.run.{run}", "prefect.resource.name": "night"}
    runs = [each["prefect.resource.id"] for each in refused["related"] if each["prefect.resource.role"] == "flow-run"]
    assert f"prefect.flow-run.{run}" in runs, "by which the UI shows it on the run's page"


@flow
def innermost() -> tuple[str, tuple[str, str]]:
    """The run above, as this process knows it, and as one that was sent here alone would ask the server."""
    at, context = history.where(), FlowRunContext.get()
    assert at is not None
    assert context is not None
    assert context.flow_run is not None
    return at.run, history._read_outermost(str(context.flow_run.parent_task_run_id))


@flow
def between() -> tuple[str, tuple[str, str]]:
    return innermost()


@flow
def outermost() -> tuple[str, tuple[str, str]]:
    return between()


def test_a_dispatched_run_finds_the_outermost_one_on_the_server() -> None:
    state = outermost(return_state=True)
    here, (asked, name) = state.result()
    assert here == asked == str(state.state_details.flow_run_id)
    assert name


def test_a_history_that_cannot_be_written_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COGUMI_JOURNAL", f"sqlite:///{tmp_path}")  # a folder is no database
    assert outer(1.0, return_state=True).is_completed()
    assert "is not noted" in caplog.text


def test_outside_of_runs_nothing_is_noted_and_no_journal_is_made(state: Path) -> None:
    gate("size", [check(1.0)])
    assert history.read() == []
    assert not (state / "journal.db").exists()

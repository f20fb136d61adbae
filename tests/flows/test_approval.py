"""A person is asked before money is spent: by a form where there is a deployment, at a terminal, or the profile's rule
answers."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run
from prefect.states import Pending, State

from configs.errors import GateFailed
from configs.phases.nightly import Approval
from configs.schema import load
from flows import spending
from flows.approval import before_promotion, before_spending
from flows.phases import PHASES

pytestmark = pytest.mark.usefixtures("prefect_server")
ASK = Approval(above_dollars=Decimal(1), before_promotion=True, unattended="refuse", wait_s=600)
BEGAN: list[str] = []


@flow(name="asking", persist_result=True)
def asking(rule: str = "refuse", wait_s: int = 600) -> str:
    """Spends, then promotes."""
    BEGAN.append("asking")
    settings = ASK.model_copy(update={"unattended": rule, "wait_s": wait_s})
    before_spending("dataset", Decimal("2.5"), settings)
    before_promotion("0123456789abcdef", "It gains.", settings)
    return "promoted"


@pytest.fixture
def deployment() -> UUID:
    with get_client(sync_client=True) as client:
        return client.create_deployment(
            flow_id=client.create_flow(asking), name="here", entrypoint="tests/flows/test_approval.py:asking", path="."
        )


def go_on(run: UUID) -> State[Any]:
    """What a worker's process does with a run: begin it, or go on with it after a resume."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(run)
    try:
        return run_flow(asking, flow_run=found, parameters=found.parameters, return_type="state")  # type: ignore[return-value]
    except Pause as pause:  # the process ends
        return cast("State[Any]", pause.state)


def submitted(deployment: UUID, **parameters: Any) -> UUID:
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment, parameters=parameters).id


def form(run: UUID) -> dict[str, Any]:
    """What the UI shows."""
    with get_client(sync_client=True) as client:
        keyset = client.read_flow_run(run).state.state_details.run_input_keyset  # type: ignore[union-attr]
        assert keyset is not None
    from prefect.input import read_flow_run_input

    found = {name: read_flow_run_input(keyset[name], flow_run_id=run) for name in ("schema", "description")}
    return found  # type: ignore[return-value]


def test_a_run_of_a_deployment_is_suspended_until_somebody_answers_and_asks_each_question_once(
    deployment: UUID,
) -> None:
    run = submitted(deployment)
    BEGAN.clear()
    assert go_on(run).name == "Suspended"
    shown = form(run)
    assert "may spend up to $2.50" in shown["description"]
    assert set(shown["schema"]["properties"]) == {"approve", "reason"}
    assert all(field["description"] for field in shown["schema"]["properties"].values())
    resume_flow_run(run, run_input={"approve": True, "reason": "fine"})
    assert go_on(run).name == "Suspended", "the next question"
    assert "0123456789ab would become the current one" in form(run)["description"]
    resume_flow_run(run, run_input={"approve": True})
    done = go_on(run)
    assert done.is_completed()
    assert done.result() == "promoted"
    assert len(BEGAN) == 3, "the flow begins again after every answer; its finished steps come from the cache"


@pytest.mark.parametrize("wait_s", [60, 6000])
def test_a_suspended_run_waits_as_long_as_wait_s(deployment: UUID, wait_s: int) -> None:
    before = datetime.now(UTC)
    suspended = go_on(submitted(deployment, wait_s=wait_s))
    until = suspended.state_details.pause_timeout
    assert until is not None
    assert before <= until - timedelta(seconds=wait_s) <= datetime.now(UTC)


def test_a_refusal_ends_the_run_with_a_clear_message(deployment: UUID) -> None:
    run = submitted(deployment)
    go_on(run)
    resume_flow_run(run, run_input={"approve": False, "reason": "too dear"})
    ended = go_on(run)
    assert ended.is_failed()
    with pytest.raises(
        GateFailed, match=r"approval refused in the UI: too dear\. The dataset phase may spend up to \$2\.50"
    ):
        ended.result()


def scheduled(deployment: UUID, rule: str) -> FlowRun:
    """A run that a schedule of the deployment made."""
    with get_client(sync_client=True) as client:
        client.create_deployment_schedules(deployment, [(IntervalSchedule(interval=timedelta(hours=1)), True)])
        client.request(
            "POST", "/deployments/{id}/schedule", path_params={"id": deployment}, json={"min_runs": 1, "max_runs": 1}
        )
        of_it = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        runs = [one for one in client.read_flow_runs(deployment_filter=of_it) if one.auto_scheduled]
        client.set_flow_run_state(runs[0].id, Pending(), force=True)  # as a worker does when it is due
    return runs[0].model_copy(update={"parameters": {"rule": rule}})


@pytest.mark.parametrize(("rule", "ends"), [("approve", "Completed"), ("refuse", "Failed")])
def test_a_scheduled_run_follows_the_rule_and_never_waits(deployment: UUID, rule: str, ends: str) -> None:
    run = scheduled(deployment, rule)
    state: State[Any] = run_flow(asking, flow_run=run, parameters=run.parameters, return_type="state")  # type: ignore[assignment]
    assert state.name == ends
    if ends == "Failed":
        with pytest.raises(GateFailed, match=r"by the profile's rule approval\.unattended=refuse"):
            state.result()


@contextmanager
def terminal(typed: str) -> Iterator[None]:
    """A real terminal as standard input and error, at which ``typed`` was typed."""
    person, program = os.openpty()
    before = sys.stdin, sys.stderr
    with (
        os.fdopen(program, "r+b", buffering=0) as raw,
        open(raw.fileno(), closefd=False) as reading,
        open(raw.fileno(), "w", closefd=False) as writing,
    ):
        sys.stdin, sys.stderr = reading, writing
        try:
            os.write(person, typed.encode())
            yield
        finally:
            sys.stdin, sys.stderr = before
    os.close(person)


def test_a_run_at_a_terminal_asks_there() -> None:
    with terminal("y\nyes\n"):
        assert asking() == "promoted"
    with terminal("\n"), pytest.raises(GateFailed, match="approval refused at the terminal"):
        asking()


def test_a_run_without_terminal_follows_the_rule() -> None:
    with pytest.raises(GateFailed, match="by the profile's rule"):
        asking()
    assert asking("approve") == "promoted"


def test_nothing_is_asked_below_the_amount() -> None:
    before_spending("dataset", Decimal(1), ASK)
    before_spending("dataset", Decimal(10**6), ASK.model_copy(update={"above_dollars": None}))
    before_promotion("0123", "", ASK.model_copy(update={"before_promotion": False}))
    with pytest.raises(GateFailed):
        before_spending("dataset", Decimal("1.01"), ASK)


def test_what_is_asked_about_is_the_worst_case_within_the_cap() -> None:
    nano, capped = load("nano"), load("nano", ["teachers.cap_dollars=0.5"])
    assert (
        0
        < spending.of_night({"code": ["coding"]}, nano)
        < spending.of_night({"reasoning": ["math", "reasoning"]}, nano)
    )
    phases = {phase.name: phase for phase in PHASES}
    assert spending.of_phase(phases["modifiers"], nano) > spending.of_night({"code": ["coding"]}, nano)
    assert spending.of_phase(phases["routing"], nano) == 0
    assert spending.of_phase(phases["dataset"], nano) > Decimal("0.5")
    assert (
        spending.of_phase(phases["dataset"], capped) == spending.of_phase(phases["modifiers"], capped) == Decimal("0.5")
    )

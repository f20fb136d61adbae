"""Automations: in Prefect's own terms without a key it would drop, made on a real server, once."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from prefect import get_client, states
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL

from configs.errors import BadInput
from deployments.up import automations
from tests.deployments.up_process import post

FILES = automations.files()
NOTICES = {"cogumi-notices": uuid4()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prefect_understands_all_of_it(path: Path) -> None:
    made = automations.automation(path, NOTICES)
    assert made.name.startswith("Cogumi: ")
    assert len(made.description) > 20
    assert isinstance(made.trigger, EventTrigger)


@pytest.mark.parametrize("where", ["", "trigger", "actions"])
def test_a_key_that_prefect_would_drop_is_an_error(where: str, tmp_path: Path) -> None:
    fields = yaml.safe_load(FILES[0].read_text())
    {"": fields, "trigger": fields["trigger"], "actions": fields["actions"][0]}[where]["wihtin"] = 60
    path = tmp_path / "slip.yaml"
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(BadInput, match="wihtin"):
        automations.automation(path, NOTICES)


def test_every_event_is_one_that_is_sent() -> None:
    """A name that nobody sends would never be noticed. Prefect's are named after states; that ours are sent,
    tests/blocks/journal/test_history.py shows."""
    constructors = (
        states.Scheduled,
        states.Pending,
        states.Running,
        states.AwaitingRetry,
        states.Completed,
        states.Failed,
        states.Crashed,
        states.Cancelled,
        states.Paused,
    )
    sent = {f"prefect.flow-run.{make().name}" for make in (*constructors, states.Suspended)} | {
        "prefect.flow-run.heartbeat",
        "prefect.flow-run.*",
    }
    sent |= {"cogumi.gate.failed", "cogumi.budget.spent"}
    for path in FILES:
        trigger = automations.automation(path, NOTICES).trigger
        assert isinstance(trigger, EventTrigger)
        assert trigger.expect | trigger.after <= sent
        assert (
            trigger.posture == Posture.Reactive
            or trigger.after <= trigger.expect
            or "prefect.flow-run.*" in trigger.expect
        ), "what begins the wait while one is on is lost else"


def test_the_dead_are_told_from_those_who_wait() -> None:
    """Several heartbeats must be missed, and a suspended or rescheduled run sends none by right."""
    made = automations.automation(next(path for path in FILES if path.stem == "crashed"), {})
    trigger = made.trigger
    assert isinstance(trigger, EventTrigger)
    assert trigger.posture == Posture.Proactive
    assert trigger.within.total_seconds() >= 3 * 60, "cogumi up sets a heartbeat a minute"
    ends = {"Completed", "Failed", "Crashed", "Cancelled", "Suspended", "Paused", "AwaitingRetry", "Scheduled"}
    assert trigger.expect == {f"prefect.flow-run.{name}" for name in ends} | trigger.after
    assert trigger.for_each == {"prefect.resource.id"}


def triggers() -> dict[str, str]:
    found = post(PREFECT_API_URL.value() or "", "/automations/filter")
    return {each["name"]: each["trigger"]["id"] for each in found}


@pytest.mark.usefixtures("prefect_server")
def test_made_once_kept_up_to_date_and_left_off_where_switched_off() -> None:
    without_block = [path for path in FILES if not automations.needs(path)]
    assert without_block

    async def apply() -> tuple[list[str], dict[str, bool]]:
        async with get_client() as client:
            said = await automations.automate(client)
            ours = [each for each in await client.read_automations() if each.name.startswith("Cogumi: ")]
            assert len(ours) == len({each.name for each in ours})
            return said, {each.name: each.enabled for each in ours}

    said, held = asyncio.run(apply())
    assert len(said) == len(FILES) - len(without_block)
    assert all("cogumi-notices" in line for line in said)
    assert set(held) == {automations.automation(path, NOTICES).name for path in without_block}
    with get_client(sync_client=True) as client:
        (first, *_) = client.read_automations_by_name(next(iter(held)))
        client.pause_automation(first.id)
    waiting = triggers()
    _, again = asyncio.run(apply())
    assert again == {**held, first.name: False}
    assert triggers() == waiting, "a trigger that is written anew forgets which runs it waits for"
    with get_client(sync_client=True) as client:
        client.resume_automation(first.id)

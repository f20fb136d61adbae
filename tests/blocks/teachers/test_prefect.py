"""Prefect's side of the teachers, on a real server: the credentials block, and global limits, strict."""

import asyncio
import logging
import math
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.sorting import ArtifactSort, LogSort
from prefect.settings import get_current_settings
from pydantic import SecretStr

from blocks import store
from blocks.records import Artifact
from blocks.teachers.block import TeacherCredentials, with_blocks
from blocks.teachers.calling.ask import ask
from blocks.teachers.limits.prefect_limits import limits
from blocks.teachers.reporting.page import leave_page
from configs.errors import BadInput, BudgetSpent
from configs.phases.teachers import Teachers
from tasks.step import step
from tests.blocks.teachers.conftest import PRICES, requests, settings, teacher
from tests.blocks.teachers.server import KEY, Running

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]


def test_a_block_holds_key_model_prices_and_limits(server: Running) -> None:
    block = TeacherCredentials(
        api_key=SecretStr(KEY), model="from-the-block", output_price=Decimal("0.3"), requests_per_minute=6000
    )
    block.save("mine", overwrite=True)  # type: ignore[unused-coroutine]
    teachers = settings(teacher(server.url, block="mine", key_env=None))
    (answer,) = ask(requests(1), "questions", teachers)
    assert answer.model == "from-the-block"
    model = with_blocks(teachers).models["t0"]
    assert (model.prices.output, model.prices.input, model.requests_per_minute) == (Decimal("0.3"), PRICES.input, 6000)
    assert KEY not in repr(block) + repr(model)
    assert with_blocks(teachers).identity() != teachers.identity(), "a model changed in the UI is another identity"


def test_what_is_changed_in_the_ui_makes_a_step_run_again_but_a_new_key_or_price_does_not(server: Running) -> None:
    """As the phases do it: the blocks are read before the first step."""
    ran: list[str] = []

    @step(version=1)
    def asking(teachers: Teachers) -> str:
        ran.append(teachers.models["t0"].model)
        return ask(requests(1), "questions", teachers)[0].model

    @flow
    def phase(teachers: Teachers) -> str:
        return asking(with_blocks(teachers).only("questions"))

    teachers = settings(teacher(server.url, block="changing", key_env=None))
    for changes, expected in (
        ({"model": "first"}, ["first"]),
        ({"model": "first"}, ["first"]),
        ({"model": "first", "api_key": SecretStr(KEY + " "), "output_price": Decimal(9)}, ["first"]),
        ({"model": "second"}, ["first", "second"]),
        ({"model": "second", "base_url": server.url + "/v1/"}, ["first", "second", "second"]),
    ):
        TeacherCredentials(**{"api_key": SecretStr(KEY)} | changes).save("changing", overwrite=True)  # type: ignore[unused-coroutine,arg-type]
        assert phase(teachers) == expected[-1]
        assert ran == expected
    assert sum(server.counts()["tries"].values()) == 3, (
        "another address is another model; everything else is in the journal"
    )


def test_a_spent_budget_leaves_its_page(server: Running) -> None:
    @flow
    def phase() -> None:
        ask(requests(50), "questions", settings(teacher(server.url), cap_dollars=Decimal("0.001")))

    with pytest.raises(BudgetSpent):
        phase()
    found = pages()
    assert "**Stopped:** budget test" in found
    assert "calls for questions remain" in found
    assert "| t0 |" in found


def test_no_key_is_in_what_a_run_leaves(server: Running, state: Path) -> None:
    """Artifacts with their manifests, results, logs, states and pages; the server repeats the key in its error
    messages."""
    server.plan(modes={"gone": "404"})
    TeacherCredentials(api_key=SecretStr(KEY)).save("secret", overwrite=True)  # type: ignore[unused-coroutine]

    @step(version=1)
    def asking(teachers: Teachers) -> Artifact:
        (answer,) = ask(requests(1), "questions", teachers)
        logging.getLogger("cogumi.teachers").warning("asked %s with %s", answer, teachers)
        with store.create("examples", settings=teachers) as folder:
            (folder.path / "answer.json").write_text(answer.model_dump_json())
        return folder.artifact

    @flow
    def phase(teachers: Teachers) -> Artifact:
        leave_page("", teachers)
        return asking(with_blocks(teachers))

    made = phase(settings(teacher(server.url, block="secret", key_env=None)), return_state=True)
    refused = phase(settings(teacher(server.url, "gone", block="secret", key_env=None)), return_state=True)
    assert made.is_completed()
    assert refused.is_failed()

    async def left() -> list[str]:
        async with get_client() as client:
            # The newest ones: the server is that of every test before this one.
            found: list[str] = [
                str(log.message)
                for log in await client.read_logs(log_filter=None, limit=200, sort=LogSort.TIMESTAMP_DESC)
            ]
            for run in await client.read_flow_runs():
                found.append(run.model_dump_json())
            for task_run in await client.read_task_runs():
                found.append(task_run.model_dump_json())
            return found + [str(page.data) for page in await client.read_artifacts(sort=ArtifactSort.CREATED_DESC)]

    texts = asyncio.run(left())
    assert any("made to fail" in text for text in texts), "the server's message itself was kept"
    assert any("| t0 |" in text for text in texts)
    results = get_current_settings().results.local_storage_path
    files = [path.read_bytes() for folder in (state, results) for path in folder.rglob("*") if path.is_file()]
    assert any(b"answer to question 0" in data for data in files)
    for data in [*files, *(text.encode() for text in texts)]:
        assert KEY.encode() not in data


def pages() -> str:
    """The latest page of the teachers."""

    async def read() -> str:
        async with get_client() as client:
            (found,) = await client.read_latest_artifacts(
                artifact_filter=ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=["teachers"]))
            )
            return str(found.data)

    return asyncio.run(read())


def test_a_block_that_is_not_there_is_told() -> None:
    with pytest.raises(BadInput, match="teacher-credentials/nobody"):
        ask(requests(1), "questions", settings(teacher("http://x", block="nobody", key_env=None)))


def test_ask_works_inside_a_task_of_a_flow(server: Running) -> None:
    @task
    def inside() -> str:
        return ask(requests(1), "questions", settings(teacher(server.url)))[0].text

    @flow
    async def outside() -> str:
        return inside()

    assert asyncio.run(outside()) == "answer to question 0"


def make_limits(made: dict[str, float]) -> None:
    """Make the limits as `cogumi up` does."""

    async def create() -> None:
        async with get_client() as client:
            for name, per_second in made.items():
                await client.create_global_concurrency_limit(
                    GlobalConcurrencyLimitCreate(
                        name=name, limit=max(1, math.ceil(per_second)), slot_decay_per_second=per_second
                    )
                )

    asyncio.run(create())


def test_prefects_limits_hold_and_a_missing_one_is_an_error(server: Running) -> None:
    changes: dict[str, Any] = {"requests_per_minute": 300, "tokens_per_minute": 60_000}
    teachers = settings(teacher(server.url, **changes), limiter="prefect")
    assert limits(teachers) == {"cogumi-t0-requests": 5.0, "cogumi-t0-tokens": 1000.0}
    with pytest.raises(BadInput, match="Prefect has no global limit cogumi-t0-requests; run `cogumi up`"):
        ask(requests(3), "questions", teachers)
    assert server.counts()["tries"] == {}
    make_limits(limits(teachers))
    started = time.monotonic()
    ask(requests(20), "questions", teachers)
    assert time.monotonic() - started >= (20 - 5) / 5 - 0.5


def test_no_limit_asks_prefect_nothing(server: Running) -> None:
    assert limits(settings(teacher(server.url))) == {}
    assert len(ask(requests(3), "questions", settings(teacher(server.url), limiter="prefect"))) == 3

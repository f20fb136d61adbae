"""Fields of a teacher and of the teachers, one by one, against a real server: what each changes of a call. Others are
in the files beside."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from blocks.journal.budget import Usage, nano, price, worst_case
from blocks.teachers.calling.ask import ask
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput, BudgetSpent, Transient
from tests.blocks.teachers.conftest import PRICES, requests, settings, teacher
from tests.blocks.teachers.server import KEY, Running

USED = Usage(prompt=1000, cached=300, written=200, completion=100)


@pytest.mark.parametrize("field", ["input", "cached", "cache_write", "output", "batch"])
def test_every_price_counts(field: str) -> None:
    other = PRICES.model_copy(update={field: 2 * getattr(PRICES, field)})
    tokens = {"input": 500, "cached": 300, "cache_write": 200, "output": 100}
    if field == "batch":
        assert price(other, USED, batch=True) == 2 * price(PRICES, USED, batch=True)
        assert price(other, USED, batch=False) == price(PRICES, USED, batch=False)
    else:
        assert price(other, USED, batch=False) - price(PRICES, USED, batch=False) == nano(
            getattr(PRICES, field) * tokens[field] / 1_000_000
        )


def test_what_is_set_aside_follows_the_dearest_price() -> None:
    messages = requests(1)[0].messages
    for field in ("input", "cached", "cache_write", "output"):
        dear = PRICES.model_copy(update={field: Decimal(50)})
        assert worst_case(dear, messages, 20, batch=False) > worst_case(PRICES, messages, 20, batch=False)


def test_the_prices_of_a_teacher_are_what_a_call_costs(server: Running) -> None:
    cheap, dear = (
        PRICES.model_copy(update={"input": amount, "output": amount}) for amount in (Decimal(1), Decimal(10))
    )
    (one,) = ask(requests(1), "questions", settings(teacher(server.url, prices=cheap)))
    (other,) = ask(requests(1, 10), "questions", settings(teacher(server.url, prices=dear)))
    assert other.call.dollars > 5 * one.call.dollars


def test_the_base_url_is_where_it_is_asked(server: Running) -> None:
    there = teacher(server.url, max_retries=0)
    (answer,) = ask(requests(1), "questions", settings(there))
    assert answer.text == "answer to question 0"
    with pytest.raises(Transient, match="ConnectError"):
        ask(requests(1, 1), "questions", settings(there.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})))
    assert sum(server.counts()["tries"].values()) == 1


def test_the_key_is_that_of_key_env(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    monkeypatch.setenv("TEST_KEY", "sk-wrong-0123456789")
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url, key_env="OTHER_KEY")))
    assert answer.text == "answer to question 0"
    with pytest.raises(BadInput, match="401"):
        ask(requests(1, 1), "questions", settings(teacher(server.url, key_env="TEST_KEY")))


def test_tokens_per_minute_space_the_calls(server: Running) -> None:
    """A question and its answer count 22 tokens: at 6,600 a minute one in a fifth of a second."""
    ask(requests(4), "questions", settings(teacher(server.url, tokens_per_minute=6600)))
    starts = sorted(server.counts()["starts"])
    assert starts[-1] - starts[0] >= 3 * 0.2 - 0.05


@pytest.mark.parametrize(("max_retries", "answers"), [(0, "t1"), (1, "t0")])
def test_max_retries_decide_when_the_next_teacher_is_asked(server: Running, max_retries: int, answers: str) -> None:
    server.plan(modes={"shaky": "first:500"})
    (answer,) = ask(
        requests(1), "questions", settings(teacher(server.url, "shaky", max_retries=max_retries), teacher(server.url))
    )
    assert answer.call.teacher == answers


@pytest.mark.parametrize("batch", [True, False])
def test_batch_decides_whether_calls_go_through_the_batch_api(server: Running, batch: bool) -> None:
    assert len(ask(requests(3), "questions", settings(teacher(server.url, batch=batch)))) == 3
    counts = server.counts()
    assert (counts["batches"]["submissions"], sum(counts["tries"].values())) == ((1, 0) if batch else (0, 3))


def test_batch_poll_s_is_the_pause_between_looks(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float, *rest: Any) -> Any:
        pauses.append(seconds)
        return await sleep(seconds, *rest)

    monkeypatch.setattr(asyncio, "sleep", noted)
    server.plan(looks=3)
    ask(requests(2), "questions", settings(teacher(server.url, batch=True), batch_poll_s=0.0625))
    assert pauses.count(0.0625) >= 2


def test_the_journal_is_where_the_settings_say(server: Running, state: Path, tmp_path: Path) -> None:
    journal = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    ask(requests(2), "questions", settings(teacher(server.url), journal=journal))
    assert not (state / "journal.db").exists()
    assert ask(requests(2), "questions", settings(teacher(server.url), journal=journal))[0].from_journal
    assert not ask(requests(2), "questions", settings(teacher(server.url), journal=None))[0].from_journal
    assert (state / "journal.db").exists()


def test_account_and_cap_dollars_are_what_is_charged(server: Running) -> None:
    ask(requests(2), "questions", settings(teacher(server.url), account="one"))
    assert [told.calls for told in summary(settings(account="one", roles={}))] == [2]
    assert summary(settings(account="other", roles={})) == []
    with pytest.raises(BudgetSpent):
        ask(requests(2, 10), "questions", settings(teacher(server.url), account="one", cap_dollars=Decimal("0.00001")))


@pytest.mark.parametrize("concurrency", [2, 5])
def test_as_many_calls_are_in_flight_as_concurrency_says(server: Running, concurrency: int) -> None:
    server.plan(latency_s=0.2, gather=concurrency)
    ask(requests(10), "questions", settings(teacher(server.url, timeout_s=90), concurrency=concurrency))
    assert server.counts()["most_in_flight"] == concurrency


def test_roles_name_who_is_asked_and_models_who_that_is(server: Running) -> None:
    server.plan(keep_bodies=True)
    chain = (teacher(server.url, "first"), teacher(server.url, "second"))
    for start, roles in enumerate((("t0", "t1"), ("t1", "t0"))):
        (answer,) = ask(requests(1, start), "questions", settings(*chain, roles={"questions": roles}))
        assert answer.call.teacher == roles[0]
    ask(
        requests(1, 9), "questions", settings(models={"t0": teacher(server.url, "third")}, roles={"questions": ("t0",)})
    )
    assert [body["model"] for body in server.counts()["bodies"]] == ["first", "second", "third"]

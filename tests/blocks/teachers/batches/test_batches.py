"""Batch APIs: one submission whatever happens, every result settled once, at the batch price."""

import os
import signal
import time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from blocks.journal.journal import Journal, batches
from blocks.teachers.batches import batch_records
from blocks.teachers.calling.ask import ask, dollars
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput, BudgetSpent
from configs.phases.teachers import TeacherModel
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.workers import INTERRUPTED, asking, code

PROVIDERS = ("openai", "groq", "anthropic")


def batched(server: Running, provider: str, **changes: Any) -> TeacherModel:
    return teacher(
        server.url,
        **{"model": "claude" if provider == "anthropic" else "m", "provider": provider, "batch": True} | changes,
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_answers_at_half_the_price(server: Running, provider: str) -> None:
    teachers = settings(batched(server, provider))
    answers = ask(requests(20), "questions", teachers)
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(20)]
    counts = server.counts()
    assert counts["batches"]["submissions"] == 1
    assert counts["tries"] == {}, "no single call"
    assert abs(dollars(answers) - Decimal(counts["nano"]).scaleb(-9)) <= Decimal("20e-9"), "rounded up per call"
    single = ask(
        requests(1, 100),
        "questions",
        settings(teacher(server.url, "claude" if provider == "anthropic" else "m", provider)),
    )
    assert dollars(single) * Decimal("0.4") < answers[0].call.dollars < dollars(single) * Decimal("0.6")
    assert all(answer.from_journal for answer in ask(requests(20), "questions", teachers))
    assert server.counts()["batches"]["submissions"] == 1
    (told,) = summary(teachers)
    assert (told.calls, told.reserved) == (21, 0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lost_reply_to_the_submission_is_no_second_submission(server: Running, provider: str) -> None:
    server.plan(submission="lost reply")
    assert len(ask(requests(8), "questions", settings(batched(server, provider)))) == 8
    assert server.counts()["batches"]["submissions"] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_killed_run_goes_on_with_its_batch(server: Running, provider: str) -> None:
    """Killed while it waits; and then as if it had been killed between the submission and its record."""
    server.plan(looks=10_000)
    teachers = settings(batched(server, provider))
    process = asking(server.url, 8, provider=provider, batch=True)
    while not server.counts()["batches"]["submissions"]:
        time.sleep(0.02)
    process.kill()
    process.join()
    with Journal(None).writing() as db:
        db.execute(batches.update().values(id=None))
    server.plan(looks=2)
    answers = ask(requests(12), "questions", teachers)
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(12)]
    counts = server.counts()
    assert counts["batches"]["submissions"] == 2, "one of eight, one of the four new ones"
    assert set(counts["batches"]["calls"].values()) == {1}
    (told,) = summary(teachers)
    assert (told.calls, told.lost, told.reserved) == (12, 0, 0)


def test_an_interrupted_run_goes_on_with_its_batch(server: Running) -> None:
    server.plan(looks=10_000)
    process = asking(server.url, 8, provider="openai", batch=True)
    while not server.counts()["batches"]["submissions"]:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    assert code(process) == INTERRUPTED
    server.plan(looks=2)
    teachers = settings(batched(server, "openai"))
    assert len(ask(requests(8), "questions", teachers)) == 8
    assert server.counts()["batches"]["submissions"] == 1
    (told,) = summary(teachers)
    assert (told.calls, told.lost, told.reserved) == (8, 0, 0)


def test_a_batch_that_was_never_submitted_gives_its_money_back(server: Running) -> None:
    process = asking("http://127.0.0.1:9", 8, provider="openai", batch=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not _opened():
        time.sleep(0.02)
    process.kill()
    process.join()
    teachers = settings(batched(server, "openai"))
    assert len(ask(requests(8), "questions", teachers)) == 8
    assert summary(teachers)[0].spent == dollars(ask(requests(8), "questions", teachers))
    assert server.counts()["batches"]["submissions"] == 1


@pytest.mark.parametrize(
    ("provider", "status", "batch"),
    [("openai", 404, True), ("groq", 410, True), ("anthropic", 404, True), ("openai", 404, False)],
)
def test_a_batch_that_the_provider_no_longer_knows_is_given_up_and_asked_again(
    server: Running, provider: str, status: int, batch: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have been charged: its calls stay at their worst case. Also where its calls are asked singly from now
    on."""
    held = _left_behind(server, provider)
    server.plan(gone={"batch_0": status}, looks=2)
    teachers = settings(batched(server, provider, batch=batch, max_retries=1))
    answers = ask(requests(8), "questions", teachers)
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(8)]
    assert server.counts()["batches"]["submissions"] == (2 if batch else 1)
    (told,) = summary(teachers)
    assert (told.calls, told.lost, told.reserved) == (8, 8, 0)
    assert (told.unsure, told.spent) == (held, held + dollars(answers))
    assert sum("no longer knows batch batch_0" in line.getMessage() for line in caplog.records) == 1
    assert all(answer.from_journal for answer in ask(requests(8), "questions", teachers))


def test_a_gateways_page_in_place_of_a_batch_gives_nothing_up(server: Running) -> None:
    held = _left_behind(server, "openai")
    server.plan(gone={"batch_0": "page"}, looks=2)
    teachers = settings(batched(server, "openai", max_retries=1))
    with pytest.raises(BadInput, match="404: a page: 404 Not Found"):
        ask(requests(8), "questions", teachers)
    assert summary(teachers)[0].reserved == held
    server.plan(gone={})
    assert len(ask(requests(8), "questions", teachers)) == 8
    assert server.counts()["batches"]["submissions"] == 1


def _left_behind(server: Running, provider: str) -> Decimal:
    """A batch whose process was killed; what it has set aside."""
    server.plan(looks=10_000)
    process = asking(server.url, 8, provider=provider, batch=True)
    while not server.counts()["batches"]["submissions"]:
        time.sleep(0.02)
    while not _submitted():
        time.sleep(0.02)
    process.kill()
    process.join()
    (told,) = summary(settings(batched(server, provider)))
    return told.reserved


def _submitted() -> bool:
    with Journal(None).reading() as db:
        return db.execute(select(batches.c.id)).scalar_one() is not None


def _opened() -> bool:
    journal = Journal(None)
    try:
        with journal.reading() as db:
            markers = db.execute(select(batches.c.marker)).scalars().all()
        return any(batch_records.waiting(journal, marker) for marker in markers)
    finally:
        journal.close()


def test_single_calls_wait_for_a_batch_that_has_them(server: Running) -> None:
    server.plan(looks=10_000)
    process = asking(server.url, 4, provider="openai", batch=True)
    while not server.counts()["batches"]["submissions"]:
        time.sleep(0.02)
    process.kill()
    process.join()
    server.plan(looks=2)
    answers = ask(requests(6), "questions", settings(teacher(server.url)))
    assert len(answers) == 6
    assert sum(server.counts()["tries"].values()) == 2, "the four of the batch are not asked a second time"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_refused_and_expired_results(server: Running, provider: str) -> None:
    from blocks.models.template import Message

    odd = [
        requests(1)[0].model_copy(update={"messages": (Message(role="user", content=text),)})
        for text in ("refuse me", "expire once", "fine")
    ]
    chain = (batched(server, provider, max_retries=1), teacher(server.url, "other"))
    answers = ask(odd, "questions", settings(*chain))
    assert [answer.text for answer in answers] == ["answer to refuse me", "answer to expire once", "answer to fine"]
    assert [answer.call.teacher for answer in answers] == ["t1", "t1", "t0"], (
        "refused, or not answered by two batches: the next teacher"
    )
    assert server.counts()["batches"]["submissions"] == 2


def test_a_batch_that_fails_as_a_whole_is_told_and_given_back(server: Running) -> None:
    server.plan(batch="failed")
    teachers = settings(batched(server, "openai"))
    with pytest.raises(BadInput, match="failed: token limit"):
        ask(requests(3), "questions", teachers)
    (told,) = summary(teachers)
    assert (told.spent, told.reserved) == (0, 0)


def test_a_batch_keeps_the_cap_and_is_filled_up_in_rounds(server: Running) -> None:
    whole = dollars(ask(requests(40), "questions", settings(batched(server, "openai"), account="probe")))
    teachers = settings(batched(server, "openai", model="again"), cap_dollars=whole / 2)
    with pytest.raises(BudgetSpent):
        ask(requests(40), "questions", teachers)
    (told,) = summary(teachers)
    assert whole / 2 * Decimal("0.7") < told.spent <= whole / 2
    assert told.reserved == 0


def test_a_provider_without_batches_says_so(server: Running) -> None:
    with pytest.raises(BadInput, match="provider together has no batch API"):
        ask(requests(1), "questions", settings(teacher(server.url, provider="together", batch=True)))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("cuts", [1, 9])
def test_results_that_lack_answers_are_fetched_again_and_stay_counted(
    server: Running, provider: str, cuts: int
) -> None:
    """A connection that ends between two lines loses answers that are charged, and nothing in the file says so."""
    server.plan(looks=1, cuts=cuts, cut_at=1)
    teachers = settings(batched(server, provider, max_retries=1), teacher(server.url, "backup"))
    answers = ask(requests(4), "questions", teachers)
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(4)]
    counts, told = server.counts(), summary(teachers)
    assert counts["batches"]["submissions"] == (1 if cuts == 1 else 2)
    assert sum(one.spent for one in told) >= Decimal(counts["nano"]).scaleb(-9)
    assert sum(one.reserved for one in told) == 0

"""Lost calls at a provider that bills a repeated Idempotency-Key once: the account is what it billed; at any other it
is never below."""

import time
from decimal import Decimal

import pytest
from sqlalchemy import update

from blocks.journal.journal import Journal, repeats
from blocks.teachers.calling.ask import ask
from blocks.teachers.reporting.summary import TeacherSummary, markdown, summary
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.workers import asking

COUNT, IN_FLIGHT = 12, 4


def killed_in_flight(server: Running, idempotent_s: float, *, honoured: bool) -> None:
    """A process that is killed while its first calls are at the provider, which then answers, and charges, calls that
    nobody waits for."""
    server.plan(gather=IN_FLIGHT + 1, idempotent=honoured)  # no answer yet
    process = asking(server.url, COUNT, concurrency=IN_FLIGHT, idempotent_s=idempotent_s)
    while sum(server.counts()["tries"].values()) < IN_FLIGHT:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert len(server.counts()["delivered"]) == 0
    server.plan(gather=1)
    while sum(server.counts()["charged"].values()) < IN_FLIGHT:
        time.sleep(0.02)


def asked_again(server: Running, idempotent_s: float, **changes: object) -> tuple[TeacherSummary, Decimal]:
    """The account once everything is answered, and what the provider billed."""
    teachers = settings(teacher(server.url, idempotent_s=idempotent_s, **changes))
    assert [answer.text for answer in ask(requests(COUNT), "questions", teachers)] == [
        f"answer to question {at}" for at in range(COUNT)
    ]
    (told,) = summary(teachers)
    assert (told.calls, told.reserved) == (COUNT, 0)
    return told, Decimal(server.counts()["nano"]).scaleb(-9)


def test_a_killed_call_is_billed_once_where_the_provider_honours_its_idempotency_key(server: Running) -> None:
    killed_in_flight(server, idempotent_s=600, honoured=True)
    told, billed = asked_again(server, idempotent_s=600)
    assert sum(server.counts()["tries"].values()) == COUNT + IN_FLIGHT, "what was in flight is asked again, once"
    assert set(server.counts()["charged"].values()) == {1}
    assert told.spent == billed
    assert (told.lost, told.unsure) == (0, 0)


def test_without_the_setting_no_key_is_sent_and_a_killed_call_stays_at_its_worst_case(server: Running) -> None:
    killed_in_flight(server, idempotent_s=0, honoured=False)
    told, billed = asked_again(server, idempotent_s=0)
    assert set(server.counts()["names"]) == {""}
    assert told.lost == IN_FLIGHT
    assert told.spent > billed, "each lost call was billed, for less than its worst case"
    assert 0 < told.unsure < told.spent
    assert f"| ${told.unsure:.6f} |" in markdown([told])


@pytest.mark.parametrize(
    "odd", ["the time is over", "the clock went back", "another API key", "another body", "switched off"]
)
def test_what_the_provider_may_bill_a_second_time_stays_at_its_worst_case(
    server: Running, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of these is a new call to the provider, under a new key, and it bills both."""
    killed_in_flight(server, idempotent_s=600, honoured=True)
    if odd in ("the time is over", "the clock went back"):
        with Journal(None).writing() as db:
            db.execute(update(repeats).values(until=repeats.c.until + (-1200 if odd == "the time is over" else 1200)))
    if odd == "another API key":
        monkeypatch.setattr("blocks.teachers.calling.repeats.scope", lambda teacher, secret: "0000x")
    told, billed = asked_again(server, 0 if odd == "switched off" else 600, temperature=odd != "another body")
    assert sum(server.counts()["charged"].values()) == COUNT + IN_FLIGHT
    assert told.lost == IN_FLIGHT
    assert told.spent > billed


def test_the_scope_tells_api_keys_and_bodies_apart_and_reveals_none() -> None:
    from blocks.teachers.calling.repeats import scope

    plain = teacher("http://x")
    assert scope(plain, "sk-one") == scope(plain, "sk-one") != scope(plain, "sk-two")
    assert scope(plain, "sk-one") != scope(plain.model_copy(update={"temperature": False}), "sk-one")
    assert len(scope(plain, "sk-one")) == 4


@pytest.mark.parametrize("provider", ["openai", "groq", "together", "openrouter", "anthropic"])
def test_a_broken_connection_is_asked_again_under_the_same_key_by_every_sdk(server: Running, provider: str) -> None:
    name = "claude" if provider == "anthropic" else "m"
    server.plan(idempotent=True, modes={name: "first:cut"})
    teachers = settings(teacher(server.url, name, provider, idempotent_s=600))
    ask(requests(3), "questions", teachers)
    names = server.counts()["names"]
    assert sorted(names) == sorted(2 * list(set(names)))
    assert len(set(names)) == 3
    (told,) = summary(teachers)
    assert (told.spent, told.lost) == (Decimal(server.counts()["nano"]).scaleb(-9), 0)


@pytest.mark.parametrize(
    ("fault", "same"),
    [
        ("cut", True),
        ("504", True),
        ("429", True),
        ("409", True),
        ("500", False),
        ("503", False),
        ("broken", False),
        ("schema", False),
    ],
)
def test_a_key_is_kept_until_the_provider_has_answered_under_it(server: Running, fault: str, same: bool) -> None:
    """What came of a key comes again under it: an answer that cannot be read, and a fault. So those are asked again
    under another."""
    server.plan(idempotent=True, modes={"m": f"first:{fault}"})
    teachers = settings(teacher(server.url, idempotent_s=600))
    (answer,) = ask(requests(1), "questions", teachers)
    assert answer.text == "answer to question 0"
    first, second = server.counts()["names"]
    assert (first == second) == same
    (told,) = summary(teachers)
    assert told.spent >= Decimal(server.counts()["nano"]).scaleb(-9)
    assert told.unsure == (0 if fault not in ("broken", "schema") else told.spent - answer.call.dollars)


@pytest.mark.all
@pytest.mark.parametrize("honoured", [True, False])
def test_ten_kills_among_lost_answers(server: Running, honoured: bool) -> None:
    shares = {"429": 0.05, "504": 0.1, "cut": 0.1}
    server.plan(idempotent=honoured, latency_s=0.05, shares=shares)
    seconds, count = 600 if honoured else 0, 2_000
    for at in range(10):
        process = asking(server.url, count, concurrency=32, idempotent_s=seconds)
        while process.is_alive() and len(server.counts()["tries"]) < count * (at + 0.5) / 10:
            time.sleep(0.01)
        process.kill()
        process.join()
    teachers = settings(teacher(server.url, idempotent_s=seconds), concurrency=32)
    ask(requests(count), "questions", teachers)
    time.sleep(1)  # what nobody waits for is charged, too
    (told,), billed = summary(teachers), Decimal(server.counts()["nano"]).scaleb(-9)
    print(
        f"ten kills in {count} calls with 25% faults, key {'honoured' if honoured else 'not sent'}: account "
        f"${told.spent}, billed ${billed}, lost at worst case ${told.unsure}"
    )
    assert told.spent >= billed
    assert not honoured or (told.spent, told.unsure) == (billed, 0)

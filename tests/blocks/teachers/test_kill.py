"""kill -9 at any moment: nothing recorded is paid again, and what was in flight stays counted and is asked again
once."""

import os
import random
import signal
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update

from blocks.journal.journal import INTENT, Journal, calls, sessions
from blocks.teachers.calling.ask import ask
from blocks.teachers.reporting.summary import summary
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.workers import INTERRUPTED, asking, code


def killed_and_resumed(
    server: Running, count: int, concurrency: int, kills: int, journal: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Ask ``count`` questions by a process that is killed ``kills`` times and then runs to its end."""
    draw = random.Random(seed)
    for at in range(kills):
        process = asking(server.url, count, concurrency=concurrency, journal=journal)
        goal = count * (at + draw.random()) / kills  # spread over the whole of the work
        while process.is_alive() and len(server.counts()["tries"]) < goal:
            time.sleep(0.005)
        time.sleep(draw.random() * 0.05)
        process.kill()
        process.join()
    assert code(asking(server.url, count, concurrency=concurrency, journal=journal)) == 0
    return server.counts()


def check(
    server: Running, counts: dict[str, Any], count: int, concurrency: int, kills: int, journal: str | None = None
) -> tuple[int, Decimal]:
    """Nothing lost, nothing recorded paid again, both payments counted. Returns what was asked again, and the
    account."""
    assert len(counts["tries"]) == count
    again = sum(counts["tries"].values()) - count
    (told,) = summary(settings(teacher(server.url), journal=journal))
    assert told.calls == count
    assert again <= told.lost <= kills * concurrency, "asked again: only what was in flight at a kill"
    assert told.spent >= Decimal(counts["nano"]).scaleb(-9), "the budget counts both"
    assert told.reserved == 0
    return again, told.spent


def test_a_killed_run_goes_on_where_it_was(server: Running) -> None:
    server.plan(latency_s=0.03)
    counts = killed_and_resumed(server, 150, 16, 3)
    check(server, counts, 150, 16, 3)
    before = sum(counts["tries"].values())
    assert all(answer.from_journal for answer in ask(requests(150), "questions", settings(teacher(server.url))))
    assert sum(server.counts()["tries"].values()) == before


def test_an_intent_whose_process_lives_is_waited_for_and_one_that_is_dead_is_not(server: Running) -> None:
    server.plan(gather=10)  # no answer yet
    process = asking(server.url, 1, timeout_s=90)
    while not server.counts()["tries"]:
        time.sleep(0.02)
    with Journal(None).writing() as db:  # a live heartbeat on another machine counts as alive, too
        assert db.execute(select(calls.c.state)).scalar_one() == INTENT
        db.execute(update(sessions).values(host="elsewhere"))
    threading.Timer(1, server.plan, kwargs={"gather": 1}).start()
    ask(requests(1), "questions", settings(teacher(server.url)))
    assert code(process) == 0
    assert set(server.counts()["tries"].values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_ask_keeps_what_is_on_its_way(server: Running, number: signal.Signals) -> None:
    server.plan(latency_s=0.3)
    process = asking(server.url, 200, concurrency=8)
    while len(server.counts()["tries"]) < 20:  # some are answered, some in flight
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, number)
    assert code(process) == INTERRUPTED
    counts = server.counts()
    (told,) = summary(settings(teacher(server.url)))
    assert told.calls == len(counts["delivered"]) == len(counts["tries"]) < 200, (
        "every answer that was paid is recorded"
    )
    assert (told.lost, told.reserved) == (0, 0)
    assert told.spent == Decimal(counts["nano"]).scaleb(-9)
    server.plan(latency_s=0)
    ask(requests(200), "questions", settings(teacher(server.url)))
    assert sum(server.counts()["tries"].values()) == 200, "none is asked twice"


def test_what_waits_for_its_turn_is_given_back(server: Running) -> None:
    """Claimed, with its money set aside, but not sent: nobody is billed for it."""
    process = asking(server.url, 8, concurrency=8, requests_per_minute=2)
    while not server.counts()["delivered"] or in_flight() < 7:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    assert code(process) == INTERRUPTED
    (told,) = summary(settings(teacher(server.url)))
    assert (told.calls, told.lost, told.reserved) == (1, 0, 0)
    assert told.spent == Decimal(server.counts()["nano"]).scaleb(-9)


def test_a_second_interrupt_leaves_what_does_not_arrive(server: Running) -> None:
    server.plan(gather=10)  # no answer yet
    process = asking(server.url, 4, concurrency=4)
    while len(server.counts()["tries"]) < 4:
        time.sleep(0.02)
    assert process.pid is not None
    while process.is_alive():  # once more, until it is gone: well before the grace, of which the first asks for all
        os.kill(process.pid, signal.SIGINT)
        process.join(0.5)
    (told,) = summary(settings(teacher(server.url)))
    assert (told.calls, told.lost, told.reserved) == (0, 4, 0), "the provider may charge them"


def in_flight() -> int:
    """Calls that are claimed and not over."""
    with Journal(None).reading() as db:
        return db.execute(select(func.count()).where(calls.c.state == INTENT)).scalar_one()


@pytest.mark.all
def test_twenty_kills_in_ten_thousand_calls(server: Running) -> None:
    server.plan(latency_s=0.02)
    counts = killed_and_resumed(server, 10_000, 64, 20, seed=11)
    again, spent = check(server, counts, 10_000, 64, 20)
    print(
        f"20 kills in 10,000 calls at 64: {again} asked again, account ${spent}, server charged "
        f"${Decimal(counts['nano']).scaleb(-9)}"
    )


@pytest.mark.all
def test_ten_thousand_calls_with_every_fault(server: Running) -> None:
    server.plan(
        shares={
            "429": 0.03,
            "500": 0.03,
            "503": 0.01,
            "504": 0.01,
            "cut": 0.02,
            "broken": 0.01,
            "schema": 0.01,
            "twice": 0.02,
            "slow": 0.002,
        },
        slow_s=0.5,
    )
    teachers = settings(teacher(server.url), concurrency=64)
    started, cpu = time.monotonic(), time.process_time()
    answers = ask(requests(10_000), "questions", teachers)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    counts = server.counts()
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(10_000)]
    assert len(counts["delivered"]) == 10_000
    assert sum(counts["delivered"].values()) - 10_000 == 0
    (told,) = summary(teachers)
    assert told.spent >= Decimal(counts["nano"]).scaleb(-9)
    print(
        f"10,000 calls at 64 with 14% faults: {seconds:.1f} s ({10_000 / seconds:.0f}/s), CPU {cpu:.1f} s; tries by "
        f"outcome {counts['statuses']}"
    )

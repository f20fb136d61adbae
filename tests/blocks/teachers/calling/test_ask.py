"""``ask``: the whole path of a call, against a real server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from blocks.journal.journal import Journal, calls
from blocks.teachers.calling.ask import ask, dollars, paid
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput, Transient
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.workers import asking, code


def test_answers_come_in_order_once_and_are_free_the_second_time(server: Running) -> None:
    asked = requests(60)
    teachers = settings(teacher(server.url))
    first = ask([*asked, *asked[:10]], "questions", teachers)
    assert [answer.text for answer in first] == [f"answer to question {at}" for at in [*range(60), *range(10)]]
    assert [answer.from_journal for answer in first] == [False] * 60 + [True] * 10, "a repeated request is asked once"
    assert set(server.counts()["tries"].values()) == {1}
    again = ask(asked, "questions", teachers)
    assert [answer.model_copy(update={"from_journal": False}) for answer in again] == first[:60]
    assert all(answer.from_journal for answer in again)
    assert len(server.counts()["tries"]) == 60
    assert dollars(again) == dollars(first) == Decimal(server.counts()["nano"]).scaleb(-9), (
        "what the server charged, to the nano-dollar"
    )
    assert paid(first) == dollars(first)
    assert paid(again) == 0


def test_price_and_limits_are_not_in_the_key_and_attempt_and_temperature_are(server: Running) -> None:
    asked = requests(3)
    first = ask(asked, "questions", settings(teacher(server.url)))
    dearer = teacher(server.url).model_copy(
        update={
            "prices": teacher(server.url).prices.model_copy(update={"input": Decimal(9)}),
            "timeout_s": 5.0,
            "requests_per_minute": 7,
        }
    )
    again = ask(asked, "questions", settings(dearer, concurrency=2, cap_dollars=Decimal(7)))
    assert [answer.call for answer in again] == [answer.call for answer in first], "the price is the one that was paid"
    ask([request.model_copy(update={"attempt": 1}) for request in asked], "questions", settings(teacher(server.url)))
    ask(
        [request.model_copy(update={"temperature": 0.7}) for request in asked],
        "questions",
        settings(teacher(server.url)),
    )
    assert sum(server.counts()["tries"].values()) == 9


def test_faults_are_retried_and_nothing_is_lost_or_mixed_up(server: Running) -> None:
    server.plan(shares=dict.fromkeys(("429", "500", "503", "504", "cut", "broken", "schema", "twice"), 0.08))
    answers = ask(requests(200), "questions", settings(teacher(server.url)))
    assert [answer.text for answer in answers] == [f"answer to question {at}" for at in range(200)]
    counts = server.counts()
    assert set(counts["statuses"]) >= {"429", "500", "503", "504", "cut", "broken", "schema", "twice"}, (
        "every fault was drawn"
    )
    assert set(counts["delivered"].values()) == {1}
    assert len(counts["delivered"]) == 200
    (told,) = summary(settings(teacher(server.url)))
    unseen = sum(counts["statuses"][fault] for fault in ("504", "cut", "broken", "schema"))
    assert told.lost == unseen, "each try that may have been charged without an answer is on record"
    assert told.retries >= counts["statuses"]["429"] + counts["statuses"]["500"] + counts["statuses"]["503"]
    assert told.spent >= Decimal(counts["nano"]).scaleb(-9), "the budget never counts less than the server charges"
    assert told.reserved == 0


def test_retry_after_is_honoured_by_everybody(server: Running) -> None:
    server.plan(modes={"m": "first:429"}, retry_after="1")
    ask(requests(1), "questions", settings(teacher(server.url)))
    first, second = server.counts()["starts"]
    assert second - first >= 1


def test_a_retry_after_beyond_the_timeout_means_the_next_teacher(server: Running) -> None:
    server.plan(modes={"m": "429"}, retry_after="3600")
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url), teacher(server.url, "other")))
    assert answer.call.teacher == "t1"


def test_a_slow_answer_is_a_lost_one(server: Running) -> None:
    server.plan(modes={"m": "first:slow"}, slow_s=60)
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url, timeout_s=3)))
    assert answer.text == "answer to question 0"
    (told,) = summary(settings(teacher(server.url)))
    assert (told.calls, told.lost) == (1, 1)


def test_a_refusal_goes_to_the_next_teacher_and_is_not_paid_again(server: Running) -> None:
    server.plan(modes={"strict": "400", "m": ""}, code={"400": "content_filter"})
    teachers = settings(teacher(server.url, "strict"), teacher(server.url))
    answers = ask(requests(5), "questions", teachers)
    assert {answer.call.teacher for answer in answers} == {"t1"}
    tries = sum(server.counts()["tries"].values())
    assert tries == 10
    assert all(answer.from_journal for answer in ask(requests(5), "questions", teachers))
    assert sum(server.counts()["tries"].values()) == tries


@pytest.mark.parametrize(
    ("code", "reason"), [("context_length_exceeded", "bad request: 400"), ("content_filter", "content filter: 400")]
)
def test_what_every_teacher_refuses_is_an_answer_with_a_reason(server: Running, code: str, reason: str) -> None:
    server.plan(modes={"strict": "400"}, code={"400": code})
    (answer,) = ask(requests(1), "questions", settings(teacher(server.url, "strict")))
    assert answer.reject is not None
    assert answer.reject.startswith(reason)
    assert (answer.text, answer.call.dollars) == ("", 0)
    (again,) = ask(requests(1), "questions", settings(teacher(server.url, "strict")))
    assert again.reject == answer.reject
    assert sum(server.counts()["tries"].values()) == 1


def test_refusals_inside_an_answer(server: Running) -> None:
    server.plan(finish={"filtered": "content_filter", "short": "length"}, answers={"question 7": " "})
    (filtered,) = ask(requests(1), "questions", settings(teacher(server.url, "filtered")))
    assert filtered.reject == "content filter"
    assert filtered.call.dollars > 0, "it was charged"
    (short,) = ask(requests(1), "questions", settings(teacher(server.url, "short"), teacher(server.url, "filtered")))
    assert (short.reject, short.text) == ("cut off at max_tokens", "answer to question 0")
    (empty,) = ask(requests(1, 7), "questions", settings(teacher(server.url)))
    assert empty.reject == "empty answer"


def test_a_teacher_that_is_down_fails_over_and_one_that_is_alone_is_transient(server: Running) -> None:
    server.plan(modes={"down": "500"})
    down = teacher(server.url, "down", max_retries=1)
    answers = ask(requests(30), "questions", settings(down, teacher(server.url), concurrency=4))
    assert {answer.call.teacher for answer in answers} == {"t1"}
    asked_down = server.counts()["statuses"]["500"]
    assert asked_down <= 2 * (5 + 3), "after five requests in a row it is left alone"
    with pytest.raises(Transient, match=r"30 of 30 requests for questions found no teacher: t0: 500"):
        ask(requests(30, 100), "questions", settings(down))
    assert ask(requests(30), "questions", settings(down, teacher(server.url)))[0].from_journal


def test_a_server_that_is_not_there_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "x")
    monkeypatch.setattr("blocks.teachers.calling.faults.FIRST_WAIT_S", 0.01)
    teachers = settings(teacher("http://127.0.0.1:9", max_retries=1))
    with pytest.raises(Transient, match="ConnectError"):
        ask(requests(2), "questions", teachers)
    (told,) = summary(teachers)
    assert (told.spent, told.reserved, told.lost) == (0, 0, 0)


def test_a_wrong_key_is_the_users_to_mend(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-wrong-0123456789")
    with pytest.raises(BadInput, match="401") as error:
        ask(requests(3), "questions", settings(teacher(server.url)))
    assert "sk-wrong" not in str(error.value)


def test_a_missing_key_is_told_before_any_call(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY")
    chain = (teacher(server.url, key_env=None), teacher(server.url))
    with pytest.raises(
        BadInput, match=r"environment variable TEST_KEY, or save a Prefect block teacher-credentials/t1"
    ):
        ask(requests(3), "questions", settings(*chain))
    assert server.counts()["tries"] == {}


def test_an_unknown_role_or_provider_is_named() -> None:
    with pytest.raises(BadInput, match="no teacher has the role 'judge'"):
        ask(requests(1), "judge", settings(teacher("http://x")))
    with pytest.raises(BadInput, match="unknown provider 'nobody'"):
        ask(requests(1), "questions", settings(teacher("http://x", provider="nobody", key_env=None)))


def test_it_works_inside_a_running_event_loop(server: Running) -> None:
    async def inside() -> str:
        return ask(requests(1), "questions", settings(teacher(server.url)))[0].text

    assert asyncio.run(inside()) == "answer to question 0"


def test_nothing_asked_is_nothing_done() -> None:
    assert ask([], "questions", settings(teacher("http://x"))) == []


def test_concurrency_is_used_and_kept(server: Running) -> None:
    server.plan(latency_s=0.3, gather=12)
    ask(requests(30), "questions", settings(teacher(server.url, timeout_s=90), concurrency=12))
    assert server.counts()["most_in_flight"] == 12


def test_two_asks_at_once_in_one_process_make_each_call_once(server: Running) -> None:
    server.plan(latency_s=0.1)
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: ask(requests(30), "questions", settings(teacher(server.url))), range(2))
    assert [answer.call for answer in one] == [answer.call for answer in other]
    assert set(server.counts()["tries"].values()) == {1}


def test_rate_limits_hold_over_processes(server: Running) -> None:
    running = [asking(server.url, 12, start=start, requests_per_minute=600) for start in (0, 100)]
    assert [code(process) for process in running] == [0, 0]
    starts = sorted(server.counts()["starts"])
    with Journal(None).reading() as db:
        first = db.execute(select(func.min(calls.c.created))).scalar_one()
    assert len(starts) == 24
    assert all(start >= first + at / 10 - 0.01 for at, start in enumerate(starts)), (
        "ten a second, evenly, over both together"
    )

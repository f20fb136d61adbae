"""Which refusals stay: an account's fault never, an earlier version's by today's rules, a setting's until the setting
changes."""

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from blocks.journal.journal import REJECTED, Journal, calls
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import ask
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running

LOW = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase "
    "credits."
)
POOR = {"type": "error", "error": {"type": "invalid_request_error", "message": LOW}}
ODD = {"error": {"message": "I do not like this", "type": "invalid_request_error", "code": None}}


def answering(status: int, body: Any) -> dict[str, Any]:
    return {"status": status, "bytes": base64.b64encode(json.dumps(body).encode()).decode()}


def test_an_empty_account_refuses_nothing_for_good(server: Running) -> None:
    server.plan(raw={f"question {at}": answering(400, POOR) for at in range(6)})
    teachers = settings(teacher(server.url, "claude", "anthropic"))
    with pytest.raises(
        BadInput, match=r"6 of 6 requests .*t0: 400 invalid_request_error: Your credit balance is too low"
    ):
        ask(requests(6), "questions", teachers)
    assert summary(teachers)[0].spent == 0
    server.plan(raw={})
    assert [answer.text for answer in ask(requests(6), "questions", teachers)] == [
        f"answer to question {at}" for at in range(6)
    ]


def test_what_an_earlier_version_refused_for_an_empty_account_is_asked_again(server: Running) -> None:
    teachers = settings(teacher(server.url), teacher(server.url, "other"))
    ask(requests(3), "questions", teachers)
    journal = Journal(None)
    with journal.writing() as db:
        first, second, third = sorted(db.execute(select(calls.c.key)).scalars())
        refused = update(calls).values(state=REJECTED, price=0, text="")
        db.execute(refused.where(calls.c.key == first).values(reject=f"bad request: 400 invalid_request_error: {LOW}"))
        db.execute(
            refused.where(calls.c.key == second).values(
                reject="bad request: 400 context_length_exceeded: too many tokens"
            )
        )
    tries = server.counts()["tries"]
    answers = {answer.call.call: answer for answer in ask(requests(3), "questions", teachers)}
    assert answers[first].reject is None, "asked again"
    assert second not in answers, "its refusal stands: the next teacher answered"
    assert answers[third].from_journal
    assert sum(server.counts()["tries"].values()) == sum(tries.values()) + 2
    journal.close()


def test_one_request_that_is_refused_without_a_reason_ends_nobody_elses(server: Running) -> None:
    """Nothing says whose fault it is; the teacher answers others meanwhile, so it is the request's own, as things are
    set."""
    server.plan(raw={"question 0": answering(400, ODD)}, latency_s=0.02)
    model = teacher(server.url, max_retries=3)
    answers = ask(requests(40), "questions", settings(model, concurrency=2))
    assert [answer.reject is None for answer in answers] == [False] + [True] * 39
    assert (
        answers[0].reject
        == "declined with a temperature, while others were answered: 400 invalid_request_error: I do not like this"
    )
    tries = sum(server.counts()["tries"].values())
    assert ask(requests(40), "questions", settings(model))[0].from_journal
    assert sum(server.counts()["tries"].values()) == tries
    server.plan(raw={})
    again = ask(requests(40), "questions", settings(model.model_copy(update={"temperature": False})))
    assert again[0].text == "answer to question 0", "the setting changed"
    assert sum(server.counts()["tries"].values()) == tries + 1, "and what was answered is not asked again"
    assert [answer.call for answer in again[1:]] == [answer.call for answer in answers[1:]]


def test_what_all_requests_have_in_common_is_refused_for_nobody(server: Running) -> None:
    server.plan(raw={f"question {at}": answering(400, ODD) for at in range(12)})
    teachers = settings(teacher(server.url, max_retries=1), concurrency=4)
    with pytest.raises(BadInput, match=r"12 of 12 requests .* I do not like this"):
        ask(requests(12), "questions", teachers)
    assert sum(server.counts()["tries"].values()) < 2 * 12, "it is left alone after five in a row"
    with pytest.raises(BadInput, match=r"2 of 2 requests .* I do not like this"):
        ask(requests(2), "questions", teachers)
    server.plan(raw={})
    assert all(answer.reject is None for answer in ask(requests(12), "questions", teachers))
    server.plan(raw={f"question {at}": answering(400, ODD) for at in range(20, 22)})
    with pytest.raises(BadInput, match=r"2 of 2 requests .* I do not like this"):
        ask(requests(2, 20), "questions", teachers)


def test_one_that_is_refused_after_all_others_were_answered_costs_its_own_call_in_every_run(server: Running) -> None:
    """Nobody is seen to be answered after it, so it is not final; and it ends no run, the reruns least of all."""
    teachers = settings(teacher(server.url, max_retries=1), concurrency=1)
    ask(requests(10), "questions", teachers)
    server.plan(raw={"question 10": answering(400, ODD)})
    for run in (1, 2):
        answers = ask(requests(11), "questions", teachers)
        assert [answer.reject is None for answer in answers] == [True] * 10 + [False]
        assert (
            answers[-1].reject
            == "declined with a temperature, while others were answered: 400 invalid_request_error: I do not like this"
        )
        assert sum(server.counts()["tries"].values()) == 10 + 2 * run
    assert ask(requests(1, 10), "questions", teachers)[0].reject == answers[-1].reject, (
        "a request by itself, of a teacher that has answered in this role"
    )
    assert summary(teachers)[0].spent == sum(answer.call.dollars for answer in answers)
    server.plan(raw={})
    assert ask(requests(11), "questions", teachers)[-1].text == "answer to question 10"


@pytest.mark.parametrize("batch", [True, False])
def test_one_that_every_teacher_refuses_is_left_out_and_the_others_are_not(server: Running, batch: bool) -> None:
    line = json.dumps({"custom_id": "KEY", "response": {"status_code": 400, "body": ODD}})
    server.plan(
        raw={"question 3": answering(400, ODD)}, lines={"question 3": base64.b64encode(line.encode()).decode()}, looks=1
    )
    chain = (teacher(server.url, max_retries=1, batch=batch), teacher(server.url, "other", max_retries=1))
    answers = ask(requests(4), "questions", settings(*chain, concurrency=1))
    assert [answer.reject is None for answer in answers] == [True, True, True, False]


def test_an_account_that_runs_empty_on_the_way_keeps_what_was_answered(server: Running) -> None:
    server.plan(raw={f"question {at}": answering(402, {"detail": "pay"}) for at in range(20, 40)})
    teachers = settings(teacher(server.url), concurrency=4)
    with pytest.raises(BadInput, match=r"20 of 40 requests .* t0: 402: pay"):
        ask(requests(40), "questions", teachers)
    server.plan(raw={})
    answers = ask(requests(40), "questions", teachers)
    assert [answer.from_journal for answer in answers] == [True] * 20 + [False] * 20


def test_a_step_of_which_all_was_refused_ends_with_the_teachers_words(server: Running, tmp_path: Path) -> None:
    server.plan(
        raw={
            f"question {at}": answering(400, {"error": {"code": "content_filter", "message": "not this"}})
            for at in range(3)
        }
    )
    refused = ask(requests(3), "questions", settings(teacher(server.url)))
    with pytest.raises(
        BadInput,
        match="easy answers: all 3 requests were refused by t0, 3 of them with: content filter: 400 content_filter: "
        "not this",
    ):
        unless_all_refused(refused, "easy answers")
    unless_all_refused([*refused, *ask(requests(1, 9), "questions", settings(teacher(server.url)))], "easy answers")
    unless_all_refused([], "nothing")
    assert sum((answer.call.dollars for answer in refused), Decimal(0)) == 0

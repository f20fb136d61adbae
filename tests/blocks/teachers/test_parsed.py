"""Structured answers: found in the text, asked again when malformed, kept as rejects with a reason."""

import json

import pytest
from pydantic import BaseModel

from blocks.teachers.ask import ask_parsed, parse
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running


class Score(BaseModel):
    accuracy: int
    note: str = ""


@pytest.mark.parametrize(
    "text",
    [
        '{"accuracy": 3}',
        'Here you are:\n```json\n{"accuracy": 3}\n```\nAnything else?',
        'In {braces} I trust. {"other": 1} {"accuracy": 3, "note": "not {this}"}',
        '{"accuracy": 3} {"accuracy": 4}',
    ],
)
def test_the_first_object_that_fits_is_found(text: str) -> None:
    value, reason = parse(text, Score)
    assert value is not None
    assert (value.accuracy, reason) == (3, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no braces", "no JSON object"),
        ("", "no JSON object"),
        ('{"accuracy": 3', "does not parse"),
        ('{"accuracy": ' + "[" * 100_000, "does not parse"),
        ('{"accuracy": "many"}', "accuracy: Input should be"),
        ("{}", "accuracy: Field required"),
    ],
)
def test_what_does_not_fit_has_a_reason(text: str, reason: str) -> None:
    value, why = parse(text, Score)
    assert value is None
    assert why is not None
    assert reason in why


def test_a_nest_of_braces_takes_no_time() -> None:
    value, _ = parse("{" * 20_000 + '{"accuracy": 1}', Score)
    assert value is not None


def test_malformed_answers_are_asked_again_and_then_kept(server: Running) -> None:
    server.plan(answers={"question 0": '{"accuracy": 1}', "question 1": "I would rather not", "question 2": '{"accuracy": "high"}'}, keep_bodies=True)
    parsed = ask_parsed(requests(3), "questions", settings(teacher(server.url)), Score, attempts=3)
    assert [found.value.accuracy if found.value else None for found in parsed] == [1, None, None]
    assert [len(found.answers) for found in parsed] == [1, 3, 3]
    assert parsed[1].reject == "no JSON object in the answer"
    assert parsed[2].reject is not None
    assert parsed[2].reject.startswith("accuracy: ")
    assert sum(server.counts()["tries"].values()) == 7
    again = ask_parsed(requests(3), "questions", settings(teacher(server.url)), Score, attempts=3)
    assert [found.reject for found in again] == [found.reject for found in parsed]
    assert sum(server.counts()["tries"].values()) == 7


def test_what_every_teacher_refuses_is_not_asked_again(server: Running) -> None:
    server.plan(modes={"m": "400"}, code={"400": "context_length_exceeded"})
    (parsed,) = ask_parsed(requests(1), "questions", settings(teacher(server.url)), Score, attempts=3)
    assert parsed.value is None
    assert parsed.reject is not None
    assert parsed.reject.startswith("bad request")
    assert sum(server.counts()["tries"].values()) == 1
    assert json.loads(parsed.model_dump_json())["value"] is None

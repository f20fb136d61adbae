"""Structured answers: found in the text, asked again when malformed, kept as rejects with a reason."""

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel, Field

from blocks.teachers.calling.ask import ask_parsed
from blocks.teachers.replies.parsing import Fields, Points, parse, usable
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
        '{"accuracy": 4} {"accuracy": 3}',
        '{"accuracy": 4}\n```json\n{"accuracy": 3}\n``` as {"other": 1} says',
        '{"accuracy": 3, "note": "</think> {\\"accuracy\\": 1} Like so"}',
        '{"accuracy": 3, "note": "<think>"}',
        '<think>{"accuracy": 4}</think>{"accuracy": 3}',
        '<think>first {"accuracy": 4, "note": "</think>\n{"accuracy": 3}',
        'Perhaps {"accuracy": 4}? No.\n</think>\n\n{"accuracy": 3}',
        'Perhaps {"accuracy": 4 or so. </think> {"accuracy": 3}',
        '<reflection>{"accuracy": 4}</reflection> ```\n{"accuracy": 3}\n```',
        '<|channel|>analysis<|message|>{"accuracy": 4}<|end|><|start|>assistant<|channel|>final<|message|>{"accuracy": '
        "3}<|return|>",
        'Thought: {"accuracy": 4}\nAnswer: {"accuracy": 3}',
        '<think>so</think><answer>{"accuracy": 3}</answer>',
        '{"accuracy": <0-3>} {"accuracy": 1, "note": ...} {"accuracy": 3}',
        '{"accuracy": {"accuracy": 4}} {"accuracy": 3}',
        '{"accuracy": 3} {"accuracy": {"accuracy": 4}}',
        'Let $S = \\{ x$. {"accuracy": 3}',
    ],
)
def test_the_last_object_that_stands_by_itself_and_fits_counts(text: str) -> None:
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
        ('<think>{"accuracy": 3}', "reasoning without an answer"),
        ('<think>{"accuracy": 3}</think>', "reasoning without an answer"),
        ('{"accuracy": 3} hm</think>', "reasoning without an answer"),
        ('<|channel|>analysis<|message|>{"accuracy": 3}', "reasoning without an answer"),
        ('{"other": {"accuracy": 3}, "more": {"accuracy": 3}}', "accuracy: Field required"),
        ('{"draft": {"accuracy": 3}, "final": {"accuracy"', "does not parse"),
        ('{"accuracy": NaN}', "accuracy: Input should be"),
        ('{"accuracy": 1e999}', "accuracy: Input should be"),
        ('{"accuracy": ' + "9" * 5000 + "}", "accuracy: "),
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


class Rated(Fields):
    quality: Points = Field(ge=0, le=10)


@pytest.mark.parametrize(
    ("written", "points"),
    [
        ("8", 8),
        ("8.0", 8),
        ("2.5", 2.5),
        ('"7"', 7),
        ('"2,5"', 2.5),
        ('"8/10"', 8),
        ('"8 out of 10"', 8),
        ('{"score": 3, "why": "so"}', 3),
        ("true", None),
        ("null", None),
        ("NaN", None),
        ("Infinity", None),
        ("11", None),
        ("-1", None),
        ('"nan"', None),
        ('"high"', None),
        ("[8]", None),
        ("{}", None),
        ("1e999", None),
        ("9" * 5000, None),
        ('""', None),
    ],
)
def test_points_are_read_as_they_are_written(written: str, points: float | None) -> None:
    value, reason = parse(f'{{"quality": {written}}}', Rated)
    assert (value and value.quality) == points
    assert (reason is None) == (points is not None)


@pytest.mark.parametrize(
    "text",
    ['{"Quality": 5, "why": "so"}', '{" QUALITY ": 5}', '{"rating": {"quality": 5}}', '{"quality": 5, "Quality": 6}'],
)
def test_fields_in_another_case_or_within_one_object_more_are_the_same(text: str) -> None:
    value, _ = parse(text, Rated)
    assert value == Rated(quality=5)


def test_one_bad_item_costs_one_item() -> None:
    kept, faults = usable([{"accuracy": 1}, None, {"accuracy": "x"}, [], 3, {"accuracy": 2}], Score)
    assert [one.accuracy for one in kept] == [1, 2]
    assert len(faults) == 4
    assert faults[1].startswith("accuracy: ")


def test_half_of_a_character_in_an_escape_is_text_that_a_file_can_hold() -> None:
    value, _ = parse('{"accuracy": 1, "note": "a\\ud800b\\u0000", "\\udfff": 1}', Score)
    assert value is not None
    assert value.note == "a\ufffdb\ufffd"


HOSTILE = """
from pydantic import BaseModel
from blocks.teachers.replies.parsing import parse
class Score(BaseModel):
    accuracy: int
for piece in ('{', '{"', '{"a', '{"a":', '{"a":[', '{"a"}', '{}', '{"a":1}', '}', '"', '{"\\\\"', '{"a":{}', '{ ', \
'{"a":1}</think>', '<think>{"a":1}'):
    parse(piece * (50_000 // len(piece)), Score), parse("{" + " " * 50_000 + piece, Score)
"""


def test_no_text_takes_long() -> None:
    """Nothing here is more than linear: beyond that these texts would take hours."""
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, timeout=120)


def test_malformed_answers_are_asked_again_and_then_kept(server: Running) -> None:
    server.plan(
        answers={
            "question 0": '{"accuracy": 1}',
            "question 1": "I would rather not",
            "question 2": '{"accuracy": "high"}',
        },
        keep_bodies=True,
    )
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

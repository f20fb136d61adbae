"""What a teacher writes into the fields of a reply: one bad item costs one item, before anybody answers it."""

import json
from typing import Any

import pytest

from blocks.checkers.judge import unusable
from blocks.records import Expected
from configs.phases.modifiers import TeacherSource, coverage
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.prompts import taken_apart
from tasks.modifiers.questions import fresh_questions
from tests.blocks.teachers import server as wire
from tests.blocks.teachers.conftest import settings, teacher
from tests.tasks.modifiers.world import posed

GOOD: list[Any] = [
    {"question": "What is 20 + 4?", "kind": "value", "check": "24"},
    {"question": "What is 5 + 7?", "kind": "value", "check": 12},
    {"question": "What is 5 / 2?", "kind": "Value ", "check": 2.5, "why": "so"},
    {"Question": "Add 1 and 1.", "Kind": "VALUE", "Check": "2"},
    {"question": "Call f with 1.", "kind": "call", "check": {"tool": "f", "x": 1}},
    {"question": "Write f that adds 1.", "kind": "code", "check": ["assert f(1) == 2", "assert f(2) == 3"]},
    {"question": "Write g that adds 1.", "kind": "code", "check": "```python\nassert g(1) == 2\n```"},
    {"question": "Root of 2?", "kind": "value", "check": "\\sqrt{2}"},
]
MALFORMED: list[Any] = [
    {"question": "Inf?", "kind": "value", "check": 1e999},
    None,
    3,
    [],
    {},
    True,
    {"question": "No check?", "kind": "value"},
    {"question": 5, "kind": "value", "check": "1"},
    {"question": "q", "kind": "essay", "check": "1"},
    {"question": "null?", "kind": "value", "check": None},
    {"question": "true?", "kind": "text", "check": True},
]
UNCHECKABLE: list[Any] = [
    {"question": "How many hours has a day?", "kind": "value", "check": "twenty-four"},
    {"question": "Digits?", "kind": "value", "check": "9" * 5000},
    {"question": "Call?", "kind": "call", "check": "f(x=1)"},
    {"question": "Calls?", "kind": "call", "check": "[]"},
    {"question": "Code?", "kind": "code", "check": "assert f(1) = 2"},
    {"question": "Nothing?", "kind": "code", "check": "# it works"},
    {"question": "Always?", "kind": "code", "check": "assert True"},
    {"question": " ", "kind": "value", "check": "1"},
    {"question": "Blank?", "kind": "text", "check": " "},
    "Which bare text can nobody check?",
]


def written(reply: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TEST_KEY", wire.KEY)
    count = 50
    text = reply if isinstance(reply, str) else "<think>{}</think>" + json.dumps(reply)
    with wire.Running() as server:
        server.plan(answers={f"Write {count} questions.": text})
        source = TeacherSource(
            kind="teachers", role="questions", batch=count, max_tokens=1000, temperature=0.7, attempts=1
        )
        return fresh_questions.fn(
            avoid=[],
            coverages=[coverage("reasoning").model_copy(update={"domains": ("math",)})],
            count=8,
            hard_share=0.0,
            source=source,
            teachers=settings(teacher(server.url)),
            seed=0,
        )


def test_usable_items_are_kept_and_the_others_counted_by_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = (
        [item for three in zip(GOOD, MALFORMED, UNCHECKABLE, strict=False) for item in three]
        + MALFORMED[len(GOOD) :]
        + UNCHECKABLE[len(GOOD) :]
    )
    made = written({"questions": mixed}, monkeypatch)
    found = {question.prompt: question.expected for question in read_questions(made)}
    assert {prompt: (expected.kind, expected.value) for prompt, expected in found.items() if expected} == {
        "What is 20 + 4?": ("value", "24"),
        "What is 5 + 7?": ("value", "12"),
        "What is 5 / 2?": ("value", "2.5"),
        "Add 1 and 1.": ("value", "2"),
        "Call f with 1.": ("call", '{"tool": "f", "x": 1}'),
        "Write f that adds 1.": ("code", "assert f(1) == 2\nassert f(2) == 3"),
        "Write g that adds 1.": ("code", "assert g(1) == 2"),
        "Root of 2?": ("value", "\\sqrt{2}"),
    }
    assert made.metrics["rejected_malformed"] == len(MALFORMED)
    assert made.metrics["rejected_uncheckable"] == len(UNCHECKABLE)
    assert all(expected is not None and unusable(expected) is None for expected in found.values())


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        (("code", "assert f(1) = 2"), "not Python"),
        (("code", "(" * 5000), "not Python"),
        (("code", "a\0b"), "not Python"),
        (("code", "x = 1"), "asserts nothing"),
        (("value", "24 or so, I think"), None),
        (("code", "assert f(1) == 2"), None),
        (("code", "def check(f):\n    assert f(1)\ncheck(f)"), None),
        (("text", ""), "empty"),
        (("text", "Rome"), None),
        (("call", "null"), "not a tool call"),
    ],
)
def test_a_check_is_tried_when_it_arrives(expected: tuple[Any, str], why: str | None) -> None:
    found = unusable(Expected(kind=expected[0], value=expected[1]))
    assert (found is None) == (why is None)
    assert why is None or (found is not None and why in found)


def test_teachers_who_reason_mend_as_others_do() -> None:
    questions = read_questions(posed(count=4))
    easy, hard = (
        next(question for question in questions if question.difficulty == level) for level in ("easy", "hard")
    )
    parts = taken_apart("<think>is it 5? [DRAFT]</think>\n4", easy)
    assert parts is not None
    assert parts.response == "4"
    sections = "[DRAFT]\n5\n[CRITIQUE]\nno\n[THINKING]\n2 and 2\n[REVISED]\n4"
    plain = taken_apart(sections, hard)
    assert plain is not None
    assert (plain.draft, plain.thinking, plain.response) == ("5 no", "2 and 2", "4")
    for text in (
        f"<think>hm\n[DRAFT]\nso</think>\n{sections}",
        f"hm</think>{sections}",
        sections.replace("\n4", "\n<think>or 5?</think>\n4"),
    ):
        assert taken_apart(text, hard) == plain
    for text in ("<think>4", "<think>4</think>", "4</think>"):
        assert taken_apart(text, easy) is None
    assert taken_apart(f"<think>{sections}", hard) is None
    assert taken_apart("[DRAFT]\n" + " " * 50_000 + "[CRITIQUE]\n[THINKING]\n" * 5_000, hard) is None

"""The jobs a rehearsal teacher understands, read from nothing but the text of the messages.

A request is one system message and one user message. The system message begins with a header of ``Key: value`` lines
(one per line, keys in any letter case, ended by an empty line or the end), then instructions in plain English, which a
real model follows and a rehearsal teacher skips. The user message carries the content and nothing else. Shapes, by
``Task``:

``write_questions`` — header ``Domain``, ``Difficulty``, ``Count`` (1–100), ``Batch`` (any integer: another batch, other
questions).
    User: anything; lines that begin with ``- `` are example questions, and then the new ones are of the same kinds.
    Reply: ``{"questions": ["…", …]}``, about ``Count`` of them, some bad (repeated, of another domain, mangled).
``validate`` — header ``Domain``, ``Difficulty``. User: one question, verbatim.
    Reply: ``{"clarity": 8, "relevance": 9, "difficulty": 7, "quality": 8}``, integers 1–10, more is better: clear
    wording; belongs to the domain; fits the stated difficulty; worth keeping over all.
``answer`` — header ``Domain``, ``Difficulty`` (both optional). User: the question, verbatim.
    Reply: the answer alone, plain text, no preamble.
``answer_with_draft`` — header as ``answer``. User: the question, verbatim.
    Reply: ``[DRAFT]`` first attempt, ``[CRITIQUE]`` what is wrong with it or left to do, ``[THINKING]`` worked steps,
    ``[REVISED]`` the final answer: each marker alone on its line, in this order, the text on the lines below it.
    An example's ``draft`` is draft and critique joined by one space, its ``thinking`` the steps, its ``response`` the
    revised answer.
``judge`` — header as ``answer``. User: ``QUESTION:`` alone on a line, the question, ``ANSWER:`` alone on a line, the
answer (only
    the response, without draft and thinking).
    Reply: ``{"accuracy": 3, "completeness": 2, "coherence": 2, "helpfulness": 3}``, integers within 0–3, 0–2, 0–2, 0–3.

A JSON reply is one object and no fence. A reply depends on the teacher's name, the messages, ``seed`` and
``temperature`` of the body alone: send another ``seed`` (the attempt) to have a fresh answer. A message that fits no
job gets a plain-English reply that says so. Not here: what a teacher knows (teachers.py).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

from blocks.records import DOMAINS, Difficulty, Domain

TASKS = ("write_questions", "validate", "answer", "answer_with_draft", "judge")
MOST_QUESTIONS = 100
_JUDGED = re.compile(r"^QUESTION:[ \t]*\n(?P<question>.*?)\n\s*ANSWER:[ \t]*\n?(?P<answer>.*)$", re.DOTALL)


class Job(NamedTuple):
    """A request, read. ``wanted`` is how many questions; ``content`` the user message; for ``judge`` the question, with
    ``answer`` beside it."""

    task: str
    domain: Domain | None
    difficulty: Difficulty | None
    wanted: int
    content: str
    answer: str


def read(messages: Sequence[Mapping[str, Any]]) -> Job | None:
    """The job that the messages ask for, None where they fit no shape."""
    if len(messages) < 2:
        return None
    header = _header(_text(messages[0]))
    content = _text(messages[-1]).strip()
    task, answer = header.get("task", ""), ""
    domain = next((name for name in DOMAINS if name == header.get("domain")), None)
    difficulty = next((name for name in get_args(Difficulty) if name == header.get("difficulty")), None)
    count = header.get("count", "1")
    if (
        task not in TASKS
        or (task in ("write_questions", "validate") and not (domain and difficulty))
        or not count.isdecimal()
    ):
        return None
    if task == "judge":
        if not (found := _JUDGED.match(content)):
            return None
        content, answer = found["question"].strip(), found["answer"].strip()
    return Job(
        task=task,
        domain=domain,
        difficulty=difficulty,
        wanted=min(int(count), MOST_QUESTIONS),
        content=content,
        answer=answer,
    )


def _header(text: str) -> dict[str, str]:
    """The ``Key: value`` lines at the beginning, up to the first other line."""
    header = {}
    for line in text.strip().split("\n"):
        key, colon, value = line.partition(":")
        if not colon or not key.strip().isidentifier():
            break
        header[key.strip().lower()] = value.strip()
    return header


def _text(message: Mapping[str, Any]) -> str:
    """A message's text, given as a string or as OpenAI's content parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)

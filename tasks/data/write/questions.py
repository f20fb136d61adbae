"""Questions, written by a teacher in batches, without duplicates.

A question that came before (in any domain) is dropped and made up for in another round, up to a bound. Every call is
journaled by the teachers block, so that a run that was stopped goes on where it was. Not here: whether a question is
any good (validate.py).
"""

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import field_validator

from blocks import store
from blocks.records import Artifact, CallRef, Question
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import Answer, Request, ask_parsed
from blocks.teachers.replies.parsing import Fields, Several
from configs.phases.data import Writing
from configs.phases.teachers import Teachers
from tasks.data import rows
from tasks.data.write import prompts
from tasks.data.write.plan import Cell, read_plan
from tasks.step import step

log = logging.getLogger("cogumi.data")
ROLE = "questions"
BATCHES_PER_CELL = 100_000  # batch numbers of one seed and cell; another seed asks for other batches


class Written(Fields):
    """The reply to ``write_questions``. Its items are looked at one by one; a reply without a text among them is no
    reply."""

    questions: Several

    @field_validator("questions")
    @classmethod
    def _one_is_text(cls, found: list[Any]) -> list[Any]:
        if not any(_text(item) is not None for item in found):
            raise ValueError("no question is text")
        return found


def _text(item: Any) -> str | None:
    """The question's text, also where it is the one text of an object; None where there is none."""
    if isinstance(item, dict):
        item = next((item[name] for name in ("question", "text", "prompt") if name in item), None)
    return item if isinstance(item, str) else None


@dataclass
class Collected:
    """What a cell has so far."""

    cell: Cell
    questions: list[Question] = field(default_factory=list)
    batches: int = 0

    @property
    def missing(self) -> int:
        """Questions still wanted."""
        return self.cell.ask - len(self.questions)


@step(version=1)
def write_questions(plan: Artifact, settings: Writing, source: str, teachers: Teachers) -> Artifact:
    """Ask for the questions of a plan; an artifact of kind "questions". ``source`` is written into every row."""
    seed, cells = read_plan(plan)
    collected = [Collected(cell) for cell in cells]
    seen: set[str] = set()
    rejects: list[rows.Reject] = []
    calls: list[CallRef] = []
    last: list[Answer] = []
    for round_number in range(settings.rounds + 1):
        wanted = [(one, batch) for one in collected for batch in _next_batches(one, settings.batch)]
        if not wanted:
            break
        log.debug("questions: round %d, %d calls", round_number, len(wanted))
        requests = [_request(one.cell, seed, batch, settings) for one, batch in wanted]
        for (one, _), reply in zip(
            wanted, ask_parsed(requests, ROLE, teachers, Written, settings.attempts), strict=True
        ):
            made_by = tuple(answer.call for answer in reply.answers)
            calls += made_by
            last.append(reply.answer)
            for item in reply.value.questions if reply.value else []:
                _take(one=one, item=item, source=source, calls=made_by, seen=seen, rejects=rejects)
    if not any(one.questions for one in collected):
        unless_all_refused(last, "questions")
    for one in collected:
        if one.missing:
            log.warning(
                "questions: %s %s is %d short of %d after %d batches",
                one.cell.domain,
                one.cell.difficulty,
                one.missing,
                one.cell.ask,
                one.batches,
            )
    with store.create("questions", parents=[plan], settings=settings) as folder:
        rows.record(
            folder, rows.QUESTIONS, [question for one in collected for question in one.questions], rejects, calls
        )
        folder.metrics["short"] = sum(one.missing for one in collected)
    return folder.artifact


def _next_batches(one: Collected, size: int) -> Iterator[int]:
    """The batch numbers of the next round: as many as the missing questions need."""
    count = math.ceil(max(one.missing, 0) / size)
    first, one.batches = one.batches, one.batches + count
    yield from range(first, first + count)


def _request(cell: Cell, seed: int, batch: int, settings: Writing) -> Request:
    topic = cell.topics[batch % len(cell.topics)]
    messages = prompts.write_questions(
        cell.domain, cell.difficulty, topic, settings.batch, seed * BATCHES_PER_CELL + batch
    )
    return Request(
        purpose="write_questions", messages=messages, max_tokens=settings.max_tokens, temperature=settings.temperature
    )


def _take(
    one: Collected, item: Any, source: str, calls: tuple[CallRef, ...], seen: set[str], rejects: list[rows.Reject]
) -> None:
    """Keep a question that is new and still wanted; what is beyond the plan is no reject."""
    text = _text(item)
    prompt = (json.dumps(item) if text is None else text).strip()
    key = rows.folded(prompt)
    identity = rows.question_id(one.cell.domain, prompt)
    if text is None:
        rejects.append(
            rows.Reject(
                id=identity,
                stage="questions",
                reason="malformed",
                detail="not a text",
                prompt=prompt[:200],
                lineage=calls,
            )
        )
    elif not key or key in seen:
        reason = "repeated" if key else "empty"
        rejects.append(
            rows.Reject(id=identity, stage="questions", reason=reason, detail="", prompt=prompt, lineage=calls)
        )
    elif one.missing > 0:
        seen.add(key)
        cell = one.cell
        one.questions.append(
            Question(
                id=identity,
                prompt=prompt,
                domain=cell.domain,
                difficulty=cell.difficulty,
                task_type=cell.task_type,
                source=source,
                lineage=calls,
            )
        )

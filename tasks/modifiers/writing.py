"""Questions with checkable answers, written by a teacher for a modifier's domains.

Each comes with how an answer is checked; the student's failures are judged by that alone, so a question without it is
dropped. Where the teacher gives bare texts, those that the rehearsal world knows how to check are taken. Not here: what
is fresh among them (questions.py).
"""

import hashlib
import json
import logging
import math
import re
from collections import Counter
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from blocks.checkers.judge import check_all, unusable
from blocks.models.template import Message
from blocks.records import CallRef, Difficulty, Domain, Expected, Question
from blocks.rehearsal import world
from blocks.teachers.calling.all_refused import unless_all_refused
from blocks.teachers.calling.ask import Request, ask_parsed
from blocks.teachers.replies.parsing import Fields, Several, usable
from configs.phases.modifiers import Coverage, TeacherSource
from configs.phases.teachers import Teachers

log = logging.getLogger("cogumi.modifiers")
_FENCED = re.compile(r"\A\s*```\w*[ \t]*\n(.*?)\n[ \t]*```\s*\Z", re.DOTALL)  # a check that is a block of Markdown
SPARE = 1.25  # questions asked for per question wanted: some are repeated, or cannot be checked
_KINDS = {
    "coding": 'code: "check" is Python assertions, one per line, that run after the answer and fail where it is wrong',
    "math": 'value: "check" is the number',
    "tool_use": 'call: "check" is the right call as a JSON text, {"tool": its name, and every argument by name}',
}
_TEXT = 'value (a number) or text (a word or a few, compared exactly): "check" is that answer'


class Written(Fields):
    """One question of a reply, with its check; a number or JSON as a check is its text."""

    question: str = Field(min_length=1)
    kind: Literal["code", "value", "call", "text"]
    check: str = Field(min_length=1)

    @field_validator("question", "check", "kind", mode="before")
    @classmethod
    def _text(cls, found: Any, info: ValidationInfo) -> Any:
        if isinstance(found, str):
            return found.strip().lower() if info.field_name == "kind" else found
        if info.field_name != "check" or isinstance(found, bool) or found is None:
            return found
        if isinstance(found, list) and all(isinstance(line, str) for line in found):
            return "\n".join(found)
        return repr(found) if isinstance(found, int | float) else json.dumps(found, ensure_ascii=False)


class Reply(Fields):
    """A teacher's reply. Its items are looked at one by one; a reply without a usable one is no reply."""

    questions: Several

    @field_validator("questions")
    @classmethod
    def _one_is_usable(cls, found: list[Any]) -> list[Any]:
        kept, faults = _readable(found)
        if faults and not kept:
            raise ValueError(f"none of {len(found)} questions can be used: {faults[0]}")
        return found


class Drawn(NamedTuple):
    """Questions in the order written, repeated ones included, every call that was made, what of its replies was
    dropped: unreadable (whole replies), malformed and uncheckable (questions); and the number of the next batch."""

    questions: list[Question]
    calls: list[CallRef]
    rejects: Counter[str]
    next: int


def write(
    source: TeacherSource,
    coverage: Coverage,
    domain: Domain,
    difficulty: Difficulty,
    wanted: int,
    first: int,
    teachers: Teachers,
    seed: int,
) -> Drawn:
    """Ask for ``wanted`` questions and some spare, in batches numbered from ``first`` on (another number asks for other
    questions); a reply that cannot be read counts as empty."""
    batches = range(first, first + math.ceil(wanted * SPARE / source.batch))
    requests = [
        Request(
            purpose="modifiers.questions",
            messages=tuple(_messages(coverage, domain, difficulty, source.batch, 100_000 + 1000 * seed + batch)),
            max_tokens=source.max_tokens,
            temperature=source.temperature,
        )
        for batch in batches
    ]
    questions: list[Question] = []
    calls: list[CallRef] = []
    rejects = Counter[str]()
    replies = ask_parsed(requests, source.role, teachers, Reply, source.attempts)
    for reply in replies:
        lineage = tuple(answer.call for answer in reply.answers)
        calls += lineage
        rejects["unreadable"] += reply.value is None
        kept, faults = _readable(reply.value.questions if reply.value else [])
        rejects["malformed"] += len(faults)
        for written in kept:
            question, fault = _question(written, domain, difficulty, reply.answer.model, lineage)
            rejects["uncheckable"] += question is None
            if question is not None:
                questions.append(question)
            else:
                faults.append(fault)
        if faults:
            log.info(
                "%d of %d questions of %s cannot be used, such as: %s",
                len(faults),
                len(kept) + len(faults),
                reply.answer.model,
                faults[0],
            )
    if not questions:
        unless_all_refused([reply.answer for reply in replies], "questions of a modifier")
    asserting = _failing_without_an_answer(questions)
    rejects["uncheckable"] += len(questions) - len(asserting)
    return Drawn(asserting, calls, rejects, batches.stop)


def _readable(items: list[Any]) -> tuple[list[Written | str], list[str]]:
    """The items that are a question with its check or a bare text, and why the others are neither."""
    kept: list[Written | str] = []
    faults: list[str] = []
    for item in items:
        if isinstance(item, str):
            kept.append(item)
        else:
            found, why = usable([item], Written)
            kept += found
            faults += why
    return kept, faults


def _failing_without_an_answer(questions: list[Question]) -> list[Question]:
    """Without those whose test code passes where there is no answer at all."""
    by_code = [
        (at, question.expected)
        for at, question in enumerate(questions)
        if question.expected is not None and question.expected.kind == "code"
    ]
    verdicts = check_all([(expected, "pass") for _, expected in by_code])
    passing = {at for (at, _), verdict in zip(by_code, verdicts, strict=True) if verdict.correct}
    return [question for at, question in enumerate(questions) if at not in passing]


def _question(
    written: Written | str, domain: Domain, difficulty: Difficulty, model: str, lineage: tuple[CallRef, ...]
) -> tuple[Question | None, str]:
    """The question as a record, or why it cannot be checked. A check is tried here, before anybody answers."""
    if isinstance(written, Written):
        prompt, expected, task_type = (
            written.question.strip(),
            Expected(kind=written.kind, value=_FENCED.sub(r"\1", written.check)),
            f"{domain}_{written.kind}",
        )
    else:
        prompt, found, known = written.strip(), world.expected(written), world.classify(written)
        if found is None or known is None or known[:2] != (domain, difficulty):
            return None, "no check"
        expected, task_type = found, known[2]
    if fault := unusable(expected) if prompt else "empty":
        return None, fault
    made = Question(
        id=hashlib.sha256(prompt.encode()).hexdigest()[:16],
        prompt=prompt,
        domain=domain,
        difficulty=difficulty,
        task_type=task_type,
        expected=expected,
        source=f"teacher {model}",
        lineage=lineage,
    )
    return made, ""


def _messages(coverage: Coverage, domain: Domain, difficulty: Difficulty, count: int, batch: int) -> list[Message]:
    kind = _KINDS.get(domain, _TEXT)
    system = f"""Task: write_questions
Domain: {domain}
Difficulty: {difficulty}
Count: {count}
Batch: {batch}

You examine a small language model on {coverage.description}. Write {count} different questions of the domain \
"{domain.replace("_", " ")}",
{"which take several steps to work out" if difficulty == "hard" else "which are answered directly, in one step"}. \
{coverage.hints.questions}
A program checks the answers, so each question comes with its check, of the kind {kind}. Make sure that the check is \
right.
Vary subject, wording, length and numbers; batch {batch} must not repeat other batches. Reply with one JSON object \
and nothing else:
{{"questions": [{{"question": "the question", "kind": "{kind.split(":")[0].split(" ")[0]}", "check": "its check"}}]}}"""
    return [Message(role="system", content=system), Message(role="user", content=f"Write {count} questions.")]

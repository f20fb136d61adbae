"""Questions with checkable answers, written by a teacher for a modifier's domains.

Each comes with how an answer is checked; the student's failures are judged by that alone, so a question without it is dropped.
Where the teacher gives bare texts, those that the rehearsal world knows how to check are taken. Not here: what is fresh
among them (questions.py).
"""

import hashlib
import math
from collections import Counter
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from blocks.chat_format import Message
from blocks.records import CallRef, Difficulty, Domain, Expected, Question
from blocks.rehearsal import world
from blocks.teachers.ask import Request, ask_parsed
from blocks.teachers.refused import unless_all_refused
from configs.phases.modifiers import Coverage, TeacherSource
from configs.phases.teachers import Teachers

SPARE = 1.25  # questions asked for per question wanted: some are repeated, or cannot be checked
_KINDS = {
    "coding": 'code: "check" is Python assertions, one per line, that run after the answer and fail where it is wrong',
    "math": 'value: "check" is the number',
    "tool_use": 'call: "check" is the right call as a JSON text, {"tool": its name, and every argument by name}',
}
_TEXT = 'value (a number) or text (a word or a few, compared exactly): "check" is that answer'


class Written(BaseModel):
    """One question of a reply, with its check."""

    model_config = ConfigDict(extra="ignore")
    question: str
    kind: Literal["code", "value", "call", "text"]
    check: str


class Reply(BaseModel):
    """A teacher's reply."""

    model_config = ConfigDict(extra="ignore")
    questions: list[Written | str]


class Drawn(NamedTuple):
    """Questions in the order written, repeated ones included, every call that was made, what of its replies was dropped: unreadable
    (whole replies), uncheckable (questions); and the number of the next batch."""

    questions: list[Question]
    calls: list[CallRef]
    rejects: Counter[str]
    next: int


def write(source: TeacherSource, coverage: Coverage, domain: Domain, difficulty: Difficulty, wanted: int, first: int, teachers: Teachers, seed: int) -> Drawn:
    """Ask for ``wanted`` questions and some spare, in batches numbered from ``first`` on (another number asks for other questions); a reply
    that cannot be read counts as empty."""
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
        for written in reply.value.questions if reply.value else []:
            question = _question(written, domain, difficulty, reply.answer.model, lineage)
            rejects["uncheckable"] += question is None
            if question is not None:
                questions.append(question)
    if not questions:
        unless_all_refused([reply.answer for reply in replies], "questions of a modifier")
    return Drawn(questions, calls, rejects, batches.stop)


def _question(written: Written | str, domain: Domain, difficulty: Difficulty, model: str, lineage: tuple[CallRef, ...]) -> Question | None:
    """The question as a record; None where it is empty or cannot be checked."""
    if isinstance(written, Written):
        prompt, expected = written.question.strip(), Expected(kind=written.kind, value=written.check)
        known = (domain, difficulty, f"{domain}_{written.kind}") if written.check.strip() else None
    else:
        prompt, found, known = written.strip(), world.expected(written), world.classify(written)
        if found is None or known is None or known[:2] != (domain, difficulty):
            return None
        expected = found
    if not prompt or known is None:
        return None
    return Question(
        id=hashlib.sha256(prompt.encode()).hexdigest()[:16],
        prompt=prompt,
        domain=domain,
        difficulty=difficulty,
        task_type=known[2],
        expected=expected,
        source=f"teacher {model}",
        lineage=lineage,
    )


def _messages(coverage: Coverage, domain: Domain, difficulty: Difficulty, count: int, batch: int) -> list[Message]:
    kind = _KINDS.get(domain, _TEXT)
    system = f"""Task: write_questions
Domain: {domain}
Difficulty: {difficulty}
Count: {count}
Batch: {batch}

You examine a small language model on {coverage.description}. Write {count} different questions of the domain "{domain.replace("_", " ")}",
{"which take several steps to work out" if difficulty == "hard" else "which are answered directly, in one step"}. {coverage.hints.questions}
A program checks the answers, so each question comes with its check, of the kind {kind}. Make sure that the check is right.
Vary subject, wording, length and numbers; batch {batch} must not repeat other batches. Reply with one JSON object and nothing else:
{{"questions": [{{"question": "the question", "kind": "{kind.split(":")[0].split(" ")[0]}", "check": "its check"}}]}}"""
    return [Message(role="system", content=system), Message(role="user", content=f"Write {count} questions.")]

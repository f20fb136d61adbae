"""What the cascade's teachers are told, and how their answers are taken apart into an example's sections.

A request is a system message (a header that names the job, then instructions) and a user message that is the question
and nothing else, so that a question cannot pose as an instruction. Not here: sending them (cascade.py).
"""

import re

from blocks.models.reasoning import after_leading, answer_of
from blocks.models.sections import Sections
from blocks.models.template import Message
from blocks.records import Question
from configs.phases.modifiers import Coverage

MARKERS = ("DRAFT", "CRITIQUE", "THINKING", "REVISED")
_MARKER = {name: re.compile(rf"\[{name}\][ \t]*\n") for name in MARKERS}


def mend(question: Question, coverage: Coverage) -> list[Message]:
    """Ask for the right answer; with draft, critique and steps where the question is hard."""
    job = "answer_with_draft" if question.difficulty == "hard" else "answer"
    shape = """Work on the question in four sections. Each begins with its marker alone on a line, in this order:
[DRAFT]
your first attempt, in a line or two
[CRITIQUE]
what is wrong, missing or unproven in the draft
[THINKING]
the steps that lead to the right answer, one after the other
[REVISED]
the final answer alone, complete for somebody who sees only this section"""
    if question.difficulty == "easy":
        shape = "Give the answer alone: no preamble, no closing remark."
    system = f"""Task: {job}
Domain: {question.domain}
Difficulty: {question.difficulty}

You are an expert in {coverage.description}. Your answer is checked by a program and then teaches a small model.
{coverage.hints.answers}
{shape}"""
    return [Message(role="system", content=system), Message(role="user", content=question.prompt)]


def taken_apart(text: str, question: Question) -> Sections | None:
    """A teacher's answer as an example's sections; None where a hard answer lacks a marker or an answer is empty."""
    if question.difficulty == "easy":
        answer = answer_of(text).strip()
        return Sections(draft=None, thinking=None, response=answer) if answer else None
    found = _sections(after_leading(text))
    if found is None or not (revised := answer_of(found["REVISED"])):
        return None
    return Sections(draft=f"{found['DRAFT']} {found['CRITIQUE']}".strip(), thinking=found["THINKING"], response=revised)


def _sections(text: str) -> dict[str, str] | None:
    """What stands below each marker; None where one is missing or text comes before the first. Each is looked for once,
    behind the one before."""
    starts = []
    at = 0
    for marker in MARKERS:
        found = _MARKER[marker].search(text, at)
        if found is None:
            return None
        starts.append(found)
        at = found.end()
    if text[: starts[0].start()].strip():
        return None
    ends = [found.start() for found in starts[1:]] + [len(text)]
    return {marker: text[found.end() : end].rstrip() for marker, found, end in zip(MARKERS, starts, ends, strict=True)}

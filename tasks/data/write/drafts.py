"""Answers with draft, critique, worked steps and revision to hard questions, taken apart by their markers.

Not here: who is asked, and how often (answers.py).
"""

import re

from blocks.models.reasoning import after_leading, answer_of
from blocks.records import Artifact
from configs.phases.data import Answering
from configs.phases.teachers import Teachers
from tasks.data.write.answers import Malformed, Parts, answer_all
from tasks.step import step

_MARKER = re.compile(r"^[ \t*#]*\[(DRAFT|CRITIQUE|THINKING|REVISED)\][ \t*:]*", re.MULTILINE)
_REQUIRED = ("DRAFT", "CRITIQUE", "REVISED")
_ORDER = ("DRAFT", "CRITIQUE", "THINKING", "REVISED")


@step(version=1)
def answer_hard(questions: Artifact, settings: Answering, tokenizer: str, teachers: Teachers) -> Artifact:
    """Ask for draft, critique and revision of every hard question; an artifact of kind "examples"."""
    return answer_all(
        questions=questions,
        difficulty="hard",
        settings=settings,
        tokenizer=tokenizer,
        teachers=teachers,
        take_apart=take_apart,
    )


def take_apart(text: str) -> Parts:
    """Draft (first attempt and critique, joined by one space), thinking (None where absent) and response.

    Raises:
        Malformed: a marker is missing, repeated or out of order, or its section empty.
    """
    whole, text = text, after_leading(text)
    if whole.strip() and not text.strip():
        raise Malformed("reasoning without an answer")
    found = list(_MARKER.finditer(text))
    names = [marker[1] for marker in found]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise Malformed(f"no [{missing[0]}] section")
    if len(set(names)) < len(names):
        raise Malformed("a section twice")
    if names != [name for name in _ORDER if name in names]:
        raise Malformed("sections out of order")
    if text[: found[0].start()].strip():
        raise Malformed("text before [DRAFT]")
    ends = [marker.start() for marker in found[1:]] + [len(text)]
    sections = {marker[1]: text[marker.end() : end].strip() for marker, end in zip(found, ends, strict=True)}
    empty = [name for name, section in sections.items() if not section]
    if empty:
        raise Malformed(f"[{empty[0]}] section empty")
    response = answer_of(sections["REVISED"])
    if not response:
        raise Malformed("[REVISED] section without an answer")
    return f"{sections['DRAFT']} {sections['CRITIQUE']}", sections.get("THINKING"), response

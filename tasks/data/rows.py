"""Rows of the dataset phase on disk: questions, examples and rejects as JSON lines inside artifacts.

Not here: how records become lines (blocks/json_lines.py), files from outside (files.py).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

from blocks import store
from blocks.json_lines import read as read
from blocks.json_lines import write as write
from blocks.records import Artifact, CallRef, Example, Question, Record
from blocks.wording import folded as folded

QUESTIONS, EXAMPLES, REJECTS = "questions.jsonl", "examples.jsonl", "rejects.jsonl"
T = TypeVar("T", bound=Record)


class Reject(Record):
    """A row that was dropped: where, why (a short name that is counted), and what exactly was found."""

    id: str
    stage: str
    reason: str
    detail: str
    prompt: str
    lineage: tuple[CallRef, ...] = ()


def question_id(domain: str, prompt: str) -> str:
    """Sixteen hex digits that follow from the domain and the wording alone."""
    return hashlib.sha256(f"{domain}\n{prompt}".encode()).hexdigest()[:16]


def questions(artifact: Artifact) -> list[Question]:
    """The questions of a ``questions`` artifact."""
    return read(store.open(artifact) / QUESTIONS, Question)


def examples(*artifacts: Artifact) -> list[Example]:
    """The examples of ``examples`` artifacts, in order."""
    return [row for artifact in artifacts for row in read(store.open(artifact) / EXAMPLES, Example)]


def record(
    folder: store.Folder, name: str, kept: list[T], rejects: list[Reject], calls: Iterable[CallRef] = ()
) -> None:
    """Write what was kept and what was not, and count both. ``calls``: every call of the step, paid once each."""
    write(folder.path / name, kept)
    write(folder.path / REJECTS, rejects)
    folder.metrics["kept"] = len(kept)
    for reason, count in sorted(Counter(reject.reason for reject in rejects).items()):
        folder.metrics[f"rejected_{reason}"] = count
    paid = {call.call: call.dollars for call in calls}
    folder.dollars += sum(paid.values(), Decimal(0))
    if paid:
        folder.metrics["calls"] = len(paid)

"""Rows of the dataset phase on disk: questions, examples and rejects as JSON lines inside artifacts.

A JSONL file is split on "\\n" only: other line separators are part of a text. Not here: files from outside (files.py).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from blocks import store
from blocks.records import Artifact, CallRef, Example, Question, Record

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


def folded(text: str) -> str:
    """Lower case, runs of whitespace as one space: what counts as the same wording."""
    return " ".join(text.lower().split())


def write(path: Path, rows: Iterable[Record]) -> int:
    """Write JSON lines; the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(row.model_dump_json() + "\n")
            count += 1
    return count


def read(path: Path, kind: type[T]) -> list[T]:
    """Read JSON lines; a file that is not there has none."""
    if not path.exists():
        return []
    return [kind.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line]


def questions(artifact: Artifact) -> list[Question]:
    """The questions of a ``questions`` artifact."""
    return read(store.open(artifact) / QUESTIONS, Question)


def examples(*artifacts: Artifact) -> list[Example]:
    """The examples of ``examples`` artifacts, in order."""
    return [row for artifact in artifacts for row in read(store.open(artifact) / EXAMPLES, Example)]


def record(folder: store.Folder, name: str, kept: list[T], rejects: list[Reject], calls: Iterable[CallRef] = ()) -> None:
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

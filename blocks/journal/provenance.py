"""Rows and the teacher calls that made them: found in the artifacts' JSON lines, completed from the journal.

Rows are searched as bytes first, so that a store of some hundred megabytes is gone through in a second. Not here:
artifacts and what they were made of (lineage.py).
"""

import json
import re
from collections.abc import Container, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from blocks.journal import history
from blocks.journal.budget import to_dollars
from blocks.journal.journal import Journal, calls
from blocks.journal.lineage import Graph
from blocks.records import CallRef, Manifest, Record

# A CallRef as Pydantic writes it. Inside a text its quotes are escaped, so that no text can pose as one.
_CALL = re.compile(
    rb'\{"call":"([0-9a-zA-Z]+)","teacher":("(?:[^"\\]|\\.)*"),"purpose":("(?:[^"\\]|\\.)*"),"dollars":"([0-9.Ee+-]+)"\}'
)
DATASET = "dataset"  # the kind of artifact whose rows a model is trained on
MANY = 1000  # ids that are told apart when a beginning is ambiguous


class Recorded(Record):
    """A teacher call as the journal has it. ``tokens_in`` includes ``cached``."""

    call: str
    teacher: str
    model: str
    role: str
    purpose: str
    state: str
    tokens_in: int
    cached: int
    tokens_out: int
    dollars: Decimal
    when: str


class Found(Record):
    """A row in an artifact. ``row`` is the JSON object as it stands there."""

    artifact: str
    kind: str
    file: str
    row: dict[str, Any]


def calls_in(graph: Graph, manifests: Iterable[Manifest]) -> dict[str, CallRef]:
    """Every call in the lineage of the artifacts' rows, dropped rows included, by id."""
    found: dict[str, CallRef] = {}
    for one in manifests:
        for name in _lines(one):
            for call in in_line(graph.read(one.digest, name), found):
                found[call.call] = call
    return found


def in_line(data: bytes, known: Container[str] = ()) -> Iterator[CallRef]:
    """The calls that JSON lines say they were made by, without those that are ``known``."""
    for call, teacher, purpose, dollars in _CALL.findall(data):
        if (key := call.decode()) not in known:
            yield CallRef(
                call=key, teacher=json.loads(teacher), purpose=json.loads(purpose), dollars=Decimal(dollars.decode())
            )


def rows_by(graph: Graph, one: Manifest, teacher: str) -> int:
    """How many rows of an artifact the teacher had a part in."""
    named = re.compile(
        rb'\{"call":"[0-9a-zA-Z]+","teacher":' + re.escape(json.dumps(teacher, ensure_ascii=False).encode()) + b","
    )
    return sum(
        named.search(line) is not None for name in _lines(one) for line in graph.read(one.digest, name).split(b"\n")
    )


def calls_learned(graph: Graph, manifests: Iterable[Manifest]) -> dict[str, CallRef]:
    """The calls in the lineage of the rows that models were trained on."""
    return calls_in(graph, [one for one in manifests if one.kind == DATASET])


def containing(graph: Graph, text: bytes) -> Iterator[tuple[Manifest, str, bytes]]:
    """Every JSON line that contains ``text``: artifact, file, line."""
    for one in graph.manifests.values():
        for name in _lines(one):
            data = graph.read(one.digest, name)
            at = data.find(text)
            while at >= 0:
                start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
                end = len(data) if end < 0 else end
                yield one, name, data[start:end]
                at = data.find(text, end)


def rows(graph: Graph, beginning: str) -> dict[str, list[Found]]:
    """Rows and answers whose id begins so, by id. A row is found in every artifact that has it, with its answers in
    evaluations."""
    found: dict[str, list[Found]] = {}
    for manifest, name, line in containing(graph, b'"' + beginning.encode()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        identity = row_id(row)
        if identity is not None and identity.startswith(beginning):
            found.setdefault(identity, []).append(
                Found(artifact=manifest.digest, kind=manifest.kind, file=name, row=row)
            )
            if len(found) >= MANY:
                break
    return found


def row_id(row: Any) -> str | None:
    """The id of the question that a JSON line is about."""
    if not isinstance(row, dict):
        return None
    question = row.get("question")
    identity = row.get("id") or (question.get("id") if isinstance(question, dict) else question)
    return identity if isinstance(identity, str) else None


def lineage_of(row: dict[str, Any]) -> list[CallRef]:
    """The calls that a JSON line says it was made by."""
    question = row.get("question")
    listed = row.get("lineage") or (question.get("lineage") if isinstance(question, dict) else None) or []
    return [CallRef.model_validate(one) for one in listed]


def recorded(keys: Iterable[str]) -> dict[str, Recorded]:
    """What the journal knows of the calls ``keys``; the final state of each."""
    wanted = sorted(set(keys))
    found: dict[str, Recorded] = {}
    with _journal() as journal:
        if journal is None:
            return found
        with journal.reading() as db:
            for start in range(0, len(wanted), 500):
                for row in db.execute(
                    _QUERY.where(calls.c.key.in_(wanted[start : start + 500])).order_by(calls.c.number)
                ):
                    found[row.key] = _recorded(row)
    return found


def recorded_like(beginning: str) -> dict[str, Recorded]:
    """The journal's calls whose id begins so, a limited number."""
    with _journal() as journal:
        if journal is None or not re.fullmatch(r"[0-9a-zA-Z]+", beginning):
            return {}
        with journal.reading() as db:
            found = db.execute(
                _QUERY.where(calls.c.key.like(f"{beginning}%")).order_by(calls.c.number).limit(MANY)
            ).all()
    return {row.key: _recorded(row) for row in found}


_QUERY = select(
    calls.c.key,
    calls.c.teacher,
    calls.c.model,
    calls.c.role,
    calls.c.purpose,
    calls.c.state,
    calls.c.prompt_tokens,
    calls.c.cached_tokens,
    calls.c.completion_tokens,
    calls.c.price,
    calls.c.created,
)


def _recorded(row: Any) -> Recorded:
    when = datetime.fromtimestamp(row.created, UTC).isoformat(timespec="seconds")
    return Recorded(
        call=row.key,
        teacher=row.teacher,
        model=row.model,
        role=row.role,
        purpose=row.purpose,
        state=row.state,
        tokens_in=row.prompt_tokens,
        cached=row.cached_tokens,
        tokens_out=row.completion_tokens,
        dollars=to_dollars(row.price),
        when=when,
    )


class _journal:
    """The journal, where there is one; looking makes none."""

    def __enter__(self) -> Journal | None:
        self._open = Journal(None) if history.there() else None
        return self._open

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open.close()


def _lines(manifest: Manifest) -> list[str]:
    return [name for name in manifest.files if name.endswith(".jsonl")]

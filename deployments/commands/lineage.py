"""``cogumi lineage``: from a release, artifact, row, call or answer back to teachers and their price, or forward to
what was made of it.

Not here: reading manifests, rows and journal (blocks/journal/lineage.py, blocks/journal/provenance.py), and printing
(lineage_page.py).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from blocks.journal import provenance, served
from blocks.journal.lineage import Graph
from blocks.journal.provenance import Found, Recorded
from blocks.records import CallRef, Manifest, Record
from blocks.storage import places
from configs.errors import BadInput
from tasks.release.current import releases

SHOWN = 5  # matches named when a beginning is ambiguous
What = Literal["artifact", "row", "call", "served answer", "teacher"]


class Made(Record):
    """An artifact in a trace. ``rows`` of it are the ones that were asked about (forward only); ``current``: it is the
    current release."""

    kind: str
    digest: str
    step: str
    created: str
    parents: tuple[str, ...]
    dollars: Decimal
    rows: int = 0
    current: bool = False


class Paid(Record):
    """What one teacher has in it: calls and dollars of the rows that were learned from, and of everything asked on the
    way."""

    teacher: str
    calls: int
    dollars: Decimal
    asked_calls: int
    asked_dollars: Decimal


class Call(Record):
    """A call of a row; what the journal adds is None where it does not know the call."""

    call: str
    teacher: str
    purpose: str
    dollars: Decimal
    tokens_in: int | None
    tokens_out: int | None
    when: str | None


class Answer(Record):
    """An answer in an evaluation, and the models it came from."""

    evaluation: str
    models: tuple[str, ...]
    correct: bool
    text: str


class Trace(Record):
    """What was found for an id. ``artifacts``: its ancestors (parents first) or, forward, what contains it and what was
    made of that."""

    what: What
    id: str
    forward: bool
    artifacts: tuple[Made, ...] = ()
    teachers: tuple[Paid, ...] = ()
    calls: tuple[Call, ...] = ()
    row: dict[str, object] | None = None
    answers: tuple[Answer, ...] = ()


def trace(identity: str, forward: bool) -> Trace:
    """Follow ``identity``: the beginning of an artifact's digest (with or without kind), a row's, question's, call's or
    served answer's id.

    Raises:
        BadInput: nothing begins so, or several things do.
    """
    beginning = identity.strip()
    if not beginning.isprintable():  # also bytes that are no text: they could not even be searched for
        raise BadInput(f"{identity!r} is no id: an id is plain text")
    if not beginning:
        raise BadInput(
            "give an id: the digest of a release or artifact, or the id of a row, a teacher call or an answer"
        )
    graph = Graph()
    digests = [
        digest
        for digest, one in graph.manifests.items()
        if digest.startswith(beginning) or f"{one.kind}-{digest}".startswith(beginning)
    ]
    rows = provenance.rows(graph, beginning)
    calls: dict[str, CallRef | Recorded] = {**_calls_in_rows(graph, beginning), **provenance.recorded_like(beginning)}
    answers = {
        line.id: line
        for line in served.read("", "9")
        if isinstance(line, served.Served) and line.id.startswith(beginning)
    }
    artifacts = [f"{graph.manifests[digest].kind}-{digest[:12]}" for digest in digests]
    names = [
        *artifacts,
        *(f"row {one}" for one in rows),
        *(f"call {one}" for one in calls),
        *(f"answer {one}" for one in answers),
    ]
    exact = [one for one in (*digests, *rows, *calls, *answers) if one == beginning]
    if not names:
        raise BadInput(
            f"nothing in {places.location()}, its journal or the served answers begins with {beginning!r}; see `cogumi "
            "report` for the digest of a release"
        )
    if len(names) > 1 and len(exact) != 1:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise BadInput(f"{beginning!r} is the beginning of {', '.join(names[:SHOWN])}{more}; give more of it")
    chosen = exact[0] if exact else [*digests, *rows, *calls, *answers][0]
    if chosen in digests:
        return _artifact(graph, chosen, forward)
    if chosen in rows:
        return _row(graph, chosen, rows[chosen], forward)
    if chosen in calls:
        return _call(graph, calls[chosen], forward)
    return _served(graph, answers[chosen])


def trace_teacher(name: str) -> Trace:
    """Every artifact that contains rows which the teacher ``name`` had a part in, and what was made of these.

    Raises:
        BadInput: no row names it.
    """
    graph = Graph()
    counts, calls, known = dict[str, int](), dict[str, CallRef](), set[str]()
    for one in graph.manifests.values():
        found = provenance.calls_in(graph, [one])
        known |= {call.teacher for call in found.values()}
        mine = {key: call for key, call in found.items() if call.teacher == name}
        if mine:
            calls |= mine
            counts[one.digest] = provenance.rows_by(graph, one, name)
    if not counts:
        raise BadInput(f"no row here was made by teacher {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    learned = {
        key: call
        for key, call in provenance.calls_learned(graph, graph.manifests.values()).items()
        if call.teacher == name
    }
    return Trace(
        what="teacher",
        id=name,
        forward=True,
        artifacts=_forward(graph, counts),
        teachers=(_paid(name, learned, calls),),
    )


def _artifact(graph: Graph, digest: str, forward: bool) -> Trace:
    if forward:
        return Trace(what="artifact", id=digest, forward=True, artifacts=_forward(graph, {digest: 0}))
    above = graph.above([digest])
    return Trace(
        what="artifact",
        id=digest,
        forward=False,
        artifacts=tuple(_entry(one) for one in above),
        teachers=_teachers(graph, above),
    )


def _row(graph: Graph, identity: str, found: list[Found], forward: bool) -> Trace:
    rows = [one for one in found if one.kind != "evaluation"]
    answers = [one for one in found if one.kind == "evaluation"]
    fullest = max(rows or found, key=lambda one: len(provenance.lineage_of(one.row)))
    if forward:
        return Trace(
            what="row",
            id=identity,
            forward=True,
            row=fullest.row,
            artifacts=_forward(graph, dict.fromkeys((one.artifact for one in rows), 1)),
        )
    calls = {call.call: call for one in rows for call in provenance.lineage_of(one.row)}
    learned = graph.above(one.artifact for one in answers)
    return Trace(
        what="row",
        id=identity,
        forward=False,
        row=fullest.row,
        calls=_calls(calls.values()),
        artifacts=tuple(_entry(graph.manifests[digest]) for digest in dict.fromkeys(one.artifact for one in rows)),
        answers=tuple(_answer(graph, one) for one in answers),
        teachers=_teachers(graph, learned) if answers else (),
    )


def _call(graph: Graph, call: CallRef | Recorded, forward: bool) -> Trace:
    counts: dict[str, int] = {}
    for manifest, _, _ in provenance.containing(graph, b'{"call":"' + call.call.encode() + b'"'):
        counts[manifest.digest] = counts.get(manifest.digest, 0) + 1
    ref = CallRef(call=call.call, teacher=call.teacher, purpose=call.purpose, dollars=call.dollars)
    made = (
        _forward(graph, counts)
        if forward
        else tuple(_entry(graph.manifests[digest], rows=count) for digest, count in counts.items())
    )
    return Trace(what="call", id=call.call, forward=forward, calls=_calls([ref]), artifacts=made)


def _served(graph: Graph, line: served.Served) -> Trace:
    """A served answer goes back to its release, and to the adapter where a modifier gave it."""
    release = next((digest for digest in graph.manifests if digest.startswith(line.release)), None)
    above = graph.above([release]) if release else []
    row = line.model_dump(exclude={"kind"})
    return Trace(
        what="served answer",
        id=line.id,
        forward=False,
        row=row,
        artifacts=tuple(_entry(one) for one in above),
        teachers=_teachers(graph, above),
    )


def _calls_in_rows(graph: Graph, beginning: str) -> dict[str, CallRef]:
    found: dict[str, CallRef] = {}
    if beginning.isalnum():
        for _, _, line in provenance.containing(graph, b'{"call":"' + beginning.encode()):
            found.update({call.call: call for call in provenance.in_line(line) if call.call.startswith(beginning)})
            if len(found) >= provenance.MANY:
                break
    return found


def _forward(graph: Graph, direct: dict[str, int]) -> tuple[Made, ...]:
    """The artifacts themselves, then what was made of them."""
    above = [_entry(graph.manifests[digest], rows=count) for digest, count in direct.items()]
    return (
        *sorted(above, key=lambda one: (one.created, one.digest)),
        *(_entry(one) for one in graph.below(direct)),
    )


def _entry(one: Manifest, rows: int = 0) -> Made:
    entries = releases().entries if one.kind == "release" else ()
    current = bool(entries) and entries[-1].release.digest == one.digest
    return Made(
        kind=one.kind,
        digest=one.digest,
        step=one.step,
        created=one.created,
        parents=one.parents,
        dollars=one.dollars,
        rows=rows,
        current=current,
    )


def _teachers(graph: Graph, manifests: list[Manifest]) -> tuple[Paid, ...]:
    learned, asked = provenance.calls_learned(graph, manifests), provenance.calls_in(graph, manifests)
    return tuple(_paid(name, learned, asked) for name in sorted({call.teacher for call in asked.values()}))


def _paid(name: str, learned: dict[str, CallRef], asked: dict[str, CallRef]) -> Paid:
    mine, all_mine = ([call.dollars for call in some.values() if call.teacher == name] for some in (learned, asked))
    return Paid(
        teacher=name,
        calls=len(mine),
        dollars=sum(mine, Decimal(0)),
        asked_calls=len(all_mine),
        asked_dollars=sum(all_mine, Decimal(0)),
    )


def _calls(refs: Iterable[CallRef]) -> tuple[Call, ...]:
    listed = list(refs)
    known = provenance.recorded(ref.call for ref in listed)
    found = [(ref, known.get(ref.call)) for ref in listed]
    return tuple(
        Call(
            **ref.model_dump(),
            tokens_in=more.tokens_in if more else None,
            tokens_out=more.tokens_out if more else None,
            when=more.when if more else None,
        )
        for ref, more in found
    )


def _answer(graph: Graph, found: Found) -> Answer:
    models = tuple(
        digest
        for digest in graph.manifests[found.artifact].parents
        if digest in graph.manifests and graph.manifests[digest].kind != "questions"
    )
    named = tuple(f"{graph.manifests[digest].kind}-{digest[:12]}" for digest in models)
    return Answer(
        evaluation=found.artifact,
        models=named,
        correct=bool(found.row.get("correct")),
        text=str(found.row.get("text", "")),
    )

"""``cogumi data filter``: the rule filters, and decontamination against files of evaluation questions."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path

from blocks.cores import at_most
from blocks.progress import progress
from blocks.records import Record
from configs.errors import BadInput
from configs.phases.data import Data
from configs.phases.filtering import Filters
from tasks.data.clean.decontaminate import Index, contained_in
from tasks.data.clean.filter import CHUNK, Objection, judge_chunk
from tasks.data.clean.filters.table import TABLE
from tasks.data.clean.filters.text import Text
from tasks.data.plain.commands.clock import Clock
from tasks.data.plain.files import Located, numbered, read, writer
from tasks.data.plain.processes import pool
from tasks.data.plain.record import Plain


class FilterReport(Record):
    """``data filter``. ``rejected`` and ``rates`` (of all records) are by filter; each record counts for the first that
    objected."""

    records: int
    kept: int
    rejected: dict[str, int]
    rates: dict[str, float]
    seconds: float
    records_per_second: float


def filter_files(
    inputs: Sequence[Path],
    out: Path,
    settings: Data,
    rejects: Path | None = None,
    against: Sequence[Path] = (),
    tokenizer: str = "words",
) -> FilterReport:
    """Write what no filter objects to.

    Args:
        inputs: the files to read.
        out: the file to write.
        settings: ``filters`` and ``decontamination`` are used.
        rejects: JSON lines of what was dropped: id, reason, detail.
        against: files of evaluation questions (records with id and prompt); what contains one of them is dropped too.
        tokenizer: counts tokens for the length filter; ``words``, a folder, or owner/name@commit of the hub.
    """
    clock = Clock()
    index = Index(settings.decontamination, _questions(against)) if against else None
    counts: Counter[str] = Counter()
    total = 0
    with ExitStack() as stack:
        write = stack.enter_context(writer(out))
        drop = stack.enter_context(writer(rejects)) if rejects else None
        advance = stack.enter_context(progress("filtering"))
        for record, found in _judged(read(inputs), settings.filters, tokenizer):
            total += 1
            advance()
            if found is None and index is not None and (hit := index.find(record.prompt, _answer(record))) is not None:
                found = ("contaminated", contained_in(hit))
            if found is None:
                write(record)
                continue
            counts[found[0]] += 1
            if drop:
                drop(Plain(record.id, "", "", {"id": record.id, "reason": found[0], "detail": found[1]}))
    names = [*TABLE, "contaminated"] if against else list(TABLE)
    return FilterReport(
        records=total,
        kept=total - counts.total(),
        rejected={name: counts[name] for name in names},
        rates={name: round(counts[name] / total, 6) if total else 0.0 for name in names},
        seconds=clock.seconds(),
        records_per_second=clock.per_second(total),
    )


def _judged(located: Iterable[Located], settings: Filters, tokenizer: str) -> Iterator[tuple[Plain, Objection]]:
    """Every record with its objection, in order; a bounded number of chunks is on its way at once."""
    records = (one.record for one in located)
    judge = partial(judge_chunk, settings=settings, tokenizer=tokenizer)
    workers = at_most(settings.workers)
    if workers == 1:
        while chunk := list(islice(records, CHUNK)):
            yield from zip(chunk, judge([_as_text(record) for record in chunk]), strict=True)
        return
    waiting: deque[tuple[list[Plain], Future[list[Objection]]]] = deque()
    with pool(workers) as processes:
        while chunk := list(islice(records, CHUNK)):
            waiting.append((chunk, processes.submit(judge, [_as_text(record) for record in chunk])))
            if len(waiting) > 4 * workers:
                done, future = waiting.popleft()
                yield from zip(done, future.result(), strict=True)
        for done, future in waiting:
            yield from zip(done, future.result(), strict=True)


def _as_text(record: Plain) -> Text:
    """What the filters see: draft and thinking with the answer, and no lone surrogates, which tokenizers cannot
    take."""
    working = "\n".join(part for part in (record.row.get("draft"), record.row.get("thinking")) if part)
    prompt, response, working = (
        part.encode("utf-8", "replace").decode() for part in (record.prompt, record.response, working)
    )
    return Text(prompt, response, working)


def _answer(record: Plain) -> str:
    return " ".join(part for part in (record.row.get("draft"), record.row.get("thinking"), record.response) if part)


def _questions(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Id and prompt of evaluation questions; ``question`` or ``problem`` stand for ``prompt`` in public sets."""
    for path in paths:
        for number, row in numbered(path):
            prompt = next(
                (row[name] for name in ("prompt", "question", "problem") if isinstance(row.get(name), str)), None
            )
            if prompt is None:
                raise BadInput(f"{path}:{number}: no field prompt, question or problem")
            yield str(row["id"] if row.get("id") is not None else f"{path.name.split('.')[0]}-{number}"), prompt

"""Plain files of records, read and written as streams: JSON lines (also .gz, .zst), JSON arrays in .json, and Parquet.

JSON lines end with "\\n" and nothing else. What a record is says record.py. Not here: what is done with the records
(commands/), public sources in other shapes (collect/), and deduplication, which reads its files twice (dedup/).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from blocks.storage.whole_files import whole
from configs.errors import BadInput
from tasks.data.plain.arrays import Layout, elements, layout
from tasks.data.plain.columnar import parquet, parquet_table
from tasks.data.plain.json_text import parse
from tasks.data.plain.packing.packed import packed
from tasks.data.plain.packing.unpacked import check, lines
from tasks.data.plain.record import Plain, as_record

SUFFIXES = (
    ".jsonl",
    ".jsonl.zst",
    ".jsonl.gz",
    ".ndjson",
    ".ndjson.zst",
    ".ndjson.gz",
    ".json",
    ".json.zst",
    ".json.gz",
    ".parquet",
)


class Located(NamedTuple):
    """A record and where it stands, ``file:line``."""

    where: str
    record: Plain


def read(paths: Iterable[Path]) -> Iterator[Located]:
    """The records of the files, in order.

    Raises:
        BadInput: a file is missing, damaged or of another kind, or a line is no record; names file and line.
    """
    for path in paths:
        _check(path)
        yield from _read_parquet(path) if path.suffix == ".parquet" else _read_lines(path)


@contextmanager
def writer(path: Path) -> Iterator[Callable[[Plain], None]]:
    """Write records one by one; the file is whole or not there. The kind follows from the name, as in :func:`read`.

    Raises:
        BadInput: another kind of file, a place that cannot be written to, or a value that this kind of file cannot
            hold.
    """
    if not path.name.endswith(SUFFIXES):
        raise BadInput(f"{path}: not a kind of file that is written here; there are: {', '.join(SUFFIXES)}")
    try:
        with (
            whole([path]) as (file,),
            _write_parquet(file, path) if path.suffix == ".parquet" else _write_lines(file, path) as write,
        ):
            yield write
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); name another place") from None


def _check(path: Path) -> None:
    if not path.name.endswith(SUFFIXES):
        raise BadInput(f"{path}: not a kind of file that is read here; there are: {', '.join(SUFFIXES)}")
    check(path)


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Number, value and bytes of each line of a file of JSON objects, or of each element of an array; empty lines are
    skipped.

    Raises:
        BadInput: the file is missing, damaged or unpacks to too much, or a line is no JSON object.
    """
    _check(path)
    number = 0
    kind = layout(path)
    try:
        found = lines(path) if kind is Layout.LINES else elements(path, kind)
        for number, line in enumerate(chain.from_iterable(found), 1):
            line = line.rstrip(b"\r")
            if not line or line.isspace():
                continue
            row = parse(line, f"{path}:{number}")
            if not isinstance(row, dict):
                fault = f"{type(row).__name__} instead of a JSON object; every line is one record"
                raise BadInput(f"{path}:{number}: {fault}")
            yield number, row, line
    except OSError as error:
        fault = f"damaged after line {number}" if error.errno is None or number else "cannot be read"
        raise BadInput(f"{path}: {fault} ({error.strerror or error})") from None


def _read_lines(path: Path) -> Iterator[Located]:
    stem = path.name.split(".")[0]
    for number, row, line in objects(path):
        where = f"{path}:{number}"
        yield Located(where, as_record(row, where, f"{stem}-{number}", line))


def numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and value of each row of a file of any kind that is read here, records or not.

    Raises:
        BadInput: as in :func:`objects`.
    """
    _check(path)
    if path.suffix == ".parquet":
        yield from ((number, row) for number, row, _ in parquet.rows(path))
    else:
        yield from ((number, row) for number, row, _ in objects(path))


def _read_parquet(path: Path) -> Iterator[Located]:
    stem = path.name.split(".")[0]
    for number, row, cells in parquet.rows(path):
        yield Located(f"{path}:{number}", as_record(row, f"{path}:{number}", f"{stem}-{number}", cells=cells))


@contextmanager
def _write_lines(file: IO[bytes], path: Path) -> Iterator[Callable[[Plain], None]]:
    with packed(path, file) as stream:

        def write(record: Plain) -> None:
            stream.write(record.json + b"\n")

        yield write


@contextmanager
def _write_parquet(file: IO[bytes], path: Path) -> Iterator[Callable[[Plain], None]]:
    """Rows that come from Parquet keep their types; the others get those of the first of them."""
    waiting: list[Plain] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if waiting and waiting[0].cells is not None:
            table.batch(_cells(waiting))
        elif waiting:
            table.rows([record.row for record in waiting])
        waiting.clear()
        size = 0

    def write(record: Plain) -> None:
        nonlocal size
        if waiting and _together(waiting[-1]) != _together(record):
            flush()
        waiting.append(record)
        size += len(record.prompt) + len(record.response)
        if len(waiting) >= parquet_table.GROUP or size >= parquet_table.GROUP_BYTES:
            flush()

    with parquet_table.Table(path, file) as table:
        yield write
        flush()


def _together(record: Plain) -> tuple[int, bool] | None:
    """The same for records whose cells can be taken together: of one batch, and all as they were or all with other
    fields."""
    return (
        None if record.cells is None else (id(record.cells[0]), record.row.keys() == set(record.cells[0].schema.names))
    )


def _cells(records: list[Plain]) -> Any:
    """The records' rows as a batch with their own types; fields that were made from others come first."""
    import pyarrow as pa

    batch = records[0].cells[0]  # type: ignore[index]
    taken = parquet.taken(batch, [record.cells[1] for record in records])  # type: ignore[index]
    if records[0].row.keys() == set(batch.schema.names):
        return taken
    ids = [record.row["id"] for record in records]
    made = {
        "id": ids if len(set(map(type, ids))) == 1 else list(map(str, ids)),
        "prompt": [record.prompt for record in records],
        "response": [record.response for record in records],
    }
    columns = {name: pa.array(values) for name, values in made.items()}
    return pa.RecordBatch.from_pydict(
        columns | {name: taken.column(name) for name in records[0].row if name not in made}
    )

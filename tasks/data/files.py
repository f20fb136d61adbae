"""Plain files of records, read and written as streams: JSON lines (also .gz, .zst), a JSON array in .json, and Parquet.

A record needs ``id``, ``prompt`` and ``response``; Alpaca's ``instruction``/``input``/``output`` are understood and get an id from their place
in the file. Every other field is carried along. JSON lines end with "\\n" and nothing else. Not here: what is done with the records
(commands.py), and public sources in other shapes (collect/).
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from configs.errors import BadInput
from tasks.data.columns import as_table
from tasks.data.unpacked import array_lines, is_array, opened
from tasks.data.whole import whole

SUFFIXES = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".ndjson", ".json", ".json.zst", ".json.gz", ".parquet")
PARQUET_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Plain:
    """One record. ``row`` is all of it; ``line`` is the JSON it came as where that can be written again unchanged."""

    id: str
    prompt: str
    response: str
    row: dict[str, Any]
    line: bytes | None = None

    @property
    def json(self) -> bytes:
        """The record as one JSON line, without the line end."""
        return self.line if self.line is not None else orjson.dumps(self.row)


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


def as_record(row: dict[str, Any], where: str, fallback: str, line: bytes | None = None) -> Plain:
    """The record in a JSON object.

    Args:
        row: the JSON object.
        where: ``file:line``, for errors.
        fallback: the id of an Alpaca row without one.
        line: the bytes it was parsed from.

    Raises:
        BadInput: a field is missing or no text.
    """
    if "prompt" not in row and "instruction" in row and "output" in row:
        row, line = _from_alpaca(row, where, fallback), None
    for name in ("id", "prompt", "response"):
        if not isinstance(row.get(name), str):
            if name == "id" and type(row.get("id")) is int:  # a bool is no id
                row, line = {**row, "id": str(row["id"])}, None
                continue
            fault = f"field {name!r} is missing" if name not in row else f"field {name!r} is {type(row[name]).__name__}, not text"
            raise BadInput(f"{where}: {fault}; a record needs id, prompt and response (or Alpaca's instruction, input and output)")
    return Plain(row["id"], row["prompt"], row["response"], row, line)


@contextmanager
def writer(path: Path) -> Iterator[Callable[[Plain], None]]:
    """Write records one by one; the file is whole or not there. The kind follows from the name, as in :func:`read`.

    Raises:
        BadInput: another kind of file, or a place that cannot be written to.
    """
    if not path.name.endswith(SUFFIXES):
        raise BadInput(f"{path}: not a kind of file that is written here; there are: {', '.join(SUFFIXES)}")
    try:
        with whole([path]) as (file,), _write_parquet(file, path) if path.suffix == ".parquet" else _write_lines(file, path) as write:
            yield write
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); name another place") from None


def _check(path: Path) -> None:
    if not path.name.endswith(SUFFIXES):
        raise BadInput(f"{path}: not a kind of file that is read here; there are: {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise BadInput(f"{path}: {'a folder; name its files' if path.is_dir() else 'no such file'}")


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Number, value and bytes of each line of a file of JSON objects; empty lines are skipped.

    Raises:
        BadInput: the file is missing or damaged, or a line is no JSON object.
    """
    _check(path)
    number = 0
    try:
        with io.BufferedReader(opened(path), 1 << 20) as stream:
            for number, line in enumerate(chain.from_iterable(array_lines(path)) if is_array(path) else stream, 1):
                line = line.rstrip(b"\r\n")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise BadInput(f"{path}:{number}: not JSON ({error}); every line is one JSON object") from None
                if not isinstance(row, dict):
                    raise BadInput(f"{path}:{number}: {type(row).__name__} instead of a JSON object; every line is one record")
                yield number, row, line
    except OSError as error:
        raise BadInput(f"{path}: damaged after line {number} ({error})") from None


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
    if path.suffix == ".parquet":
        _check(path)
        yield from _parquet_rows(path)
    else:
        yield from ((number, row) for number, row, _ in objects(path))


def _read_parquet(path: Path) -> Iterator[Located]:
    stem = path.name.split(".")[0]
    for number, row in _parquet_rows(path):
        yield Located(f"{path}:{number}", as_record(row, f"{path}:{number}", f"{stem}-{number}"))


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path}: not readable as Parquet after row {number} ({error})") from None


def _from_alpaca(row: dict[str, Any], where: str, fallback: str) -> dict[str, Any]:
    parts = [row["instruction"], row.get("input") or "", row["output"]]
    if not all(isinstance(part, str) for part in parts):
        raise BadInput(f"{where}: instruction, input and output must be text")
    instruction, given, output = parts
    others = {key: value for key, value in row.items() if key not in ("id", "instruction", "input", "output")}
    prompt = f"{instruction.strip()}\n\n{given.strip()}" if given.strip() else instruction.strip()
    return {"id": str(row.get("id", fallback)), "prompt": prompt, "response": output, **others}


@contextmanager
def _write_lines(file: IO[bytes], path: Path) -> Iterator[Callable[[Plain], None]]:
    import pyarrow as pa

    compression = {".zst": "zstd", ".gz": "gzip"}.get(path.suffix)
    with pa.output_stream(file, compression=compression, buffer_size=1 << 20) as stream:
        yield lambda record: stream.write(record.json + b"\n")


@contextmanager
def _write_parquet(file: IO[bytes], path: Path) -> Iterator[Callable[[Plain], None]]:
    """Rows in groups; the columns and their types are those of the first group."""
    import pyarrow.parquet as pq

    waiting: list[dict[str, Any]] = []
    out: list[pq.ParquetWriter] = []

    def flush() -> None:
        table = as_table(waiting, out[0].schema if out else None, path)
        if not out:
            out.append(pq.ParquetWriter(file, table.schema, compression="zstd"))
        out[0].write_table(table)
        waiting.clear()

    def write(record: Plain) -> None:
        waiting.append(record.row)
        if len(waiting) >= PARQUET_ROWS:
            flush()

    try:
        yield write
        if waiting or not out:
            flush()
    finally:
        for one in out:
            one.close()

"""Parquet at both ends of deduplication: rows as lines of JSON, and a file of the rows that stay.

Rows that come from Parquet go to Parquet as they are, with their types. Not here: lines (lines.py), batches
(tasks/data/plain/columnar/parquet.py), tables (tasks/data/plain/columnar/parquet_table.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from configs.errors import BadInput
from tasks.data.plain.columnar import parquet, parquet_table
from tasks.data.plain.json_text import dumps, parse
from tasks.data.plain.record import FIELDS, Unfit, identity, texts

AT_ONCE = 2**20
_PLAIN = frozenset((str, int, type(None)))


def rows_as_lines(path: Path) -> Iterator[bytes]:
    """Every row as a line of JSON, some at a time.

    Raises:
        BadInput: it is no Parquet file that can be read, or a value has no form in JSON.
    """
    ready: list[bytes] = []
    size = 0
    for number, row, _ in parquet.rows(path):
        try:
            if not _PLAIN.issuperset(map(type, map(row.get, FIELDS))):  # JSON would make text of bytes and decimals
                texts(row), identity(row)
            ready.append(dumps(row) + b"\n")
        except Unfit as fault:
            raise BadInput(f"{path}:{number}: {fault}") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInput(f"{path}:{number}: cannot be read as JSON ({error}); leave the column out") from None
        size += len(ready[-1])
        if size >= AT_ONCE:
            yield b"".join(ready)
            ready, size = [], 0
    if ready:
        yield b"".join(ready)


class ParquetRows:
    """Writes ``target`` through ``file``: lines of JSON by :meth:`write`, in pieces of any size, and rows of other
    Parquet files."""

    def __init__(self, target: Path, file: IO[bytes]) -> None:
        self._target, self._table = target, parquet_table.Table(target, file)
        self._rest: list[bytes] = []
        self._lines: list[bytes] = []
        self._size = 0

    def __enter__(self) -> "ParquetRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._flush()
        except BaseException as error:
            self._table.__exit__(type(error), error, None)
            raise
        self._table.__exit__(kind, value, trace)

    def write(self, data: bytes) -> None:
        """Take lines, or parts of them."""
        whole, end, rest = data.rpartition(b"\n")
        if end:
            self._lines += b"".join([*self._rest, whole]).split(b"\n")
            self._rest = []
        if rest:
            self._rest.append(rest)
        self._size += len(data)
        if len(self._lines) >= parquet_table.GROUP or self._size >= parquet_table.GROUP_BYTES:
            self._flush()

    def copy(self, path: Path, kept: np.ndarray) -> None:
        """Take the rows of the Parquet file ``path`` where ``kept`` is true."""
        self._flush()
        row = 0
        for batch in parquet.batches(path):
            self._table.batch(parquet.taken(batch, np.flatnonzero(kept[row : row + len(batch)])))
            row += len(batch)

    def _flush(self) -> None:
        if self._lines:
            rows = [parse(line, str(self._target)) for line in self._lines]
            self._lines, self._size = [], 0
            self._table.rows(rows)

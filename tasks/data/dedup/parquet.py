"""Parquet at both ends of deduplication: rows as lines of JSON, and a file of the rows that stay.

Rows that come from Parquet go to Parquet as they are, with their types; rows that come as JSON get the types that Arrow finds
in the first of them. Not here: lines (lines.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from configs.errors import BadInput
from tasks.data.columns import as_table

ROWS = 10_000


def rows_as_lines(path: Path) -> Iterator[bytes]:
    """Every row as a line of JSON, some at a time.

    Raises:
        BadInput: it is no Parquet file that can be read.
    """
    for batch in _batches(path):
        yield b"".join(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())


def _batches(path: Path) -> Iterator[Any]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=1024)
    except (ArrowException, OSError) as error:
        raise BadInput(f"{path}: not a Parquet file that can be read ({error})") from None


class ParquetRows:
    """Writes ``target`` through ``file``: lines of JSON by :meth:`write`, in pieces of any size, and rows of other Parquet files."""

    def __init__(self, target: Path, file: IO[bytes]) -> None:
        self._target, self._file = target, file
        self._writer: Any = None
        self._rest = b""
        self._lines: list[bytes] = []

    def __enter__(self) -> "ParquetRows":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush(last=True)
        finally:
            if self._writer is not None:
                self._writer.close()

    def write(self, data: bytes) -> None:
        """Take lines, or parts of them."""
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        if end:
            self._lines += whole.split(b"\n")
            if len(self._lines) >= ROWS:
                self._flush()

    def copy(self, path: Path, kept: np.ndarray) -> None:
        """Take the rows of the Parquet file ``path`` where ``kept`` is true."""
        import pyarrow as pa

        self._flush()
        row = 0
        for batch in _batches(path):
            self._write(pa.Table.from_batches([batch.filter(pa.array(kept[row : row + len(batch)]))]))
            row += len(batch)

    def _flush(self, last: bool = False) -> None:
        from tasks.data.dedup.fields import parse

        if self._lines or (last and self._writer is None):
            rows = [parse(line, str(self._target)) for line in self._lines]
            self._lines = []
            self._write(as_table(rows, self._writer.schema if self._writer else None, self._target))

    def _write(self, table: Any) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        if self._writer is None:
            self._writer = ParquetWriter(self._file, table.schema, compression="zstd")
        schema = self._writer.schema
        try:
            if not table.schema.equals(schema):
                table = table.cast(schema) if table.schema.names == schema.names else as_table(table.to_pylist(), schema, self._target)
        except pa.ArrowException as error:
            raise BadInput(f"{self._target}: Parquet files of different columns ({' '.join(str(error).split())}); write JSON lines instead") from None
        self._writer.write_table(table)

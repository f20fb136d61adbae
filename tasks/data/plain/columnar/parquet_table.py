"""One Parquet file, written from batches (as they are, with their types) or from rows of JSON (with the types that
Arrow finds in them).

A Parquet file's columns are fixed by its first rows. When later ones need wider columns, what was written moves to a
scratch file, where the rest is added, and all of it is written under the last columns in the end; so memory holds some
thousand rows.
Not here: how types go together (column_types.py).
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from configs.errors import BadInput
from tasks.data.plain.columnar.column_types import empty_object, wider_schema
from tasks.data.plain.columnar.columns import as_table

GROUP = 10_000  # rows that are written at once, or as many as have GROUP_BYTES
GROUP_BYTES = 2**27


class Table:
    """Writes ``target`` through ``file``, which can be read too; ``with Table(target, file) as table``."""

    def __init__(self, target: Path, file: IO[bytes]) -> None:
        self._target, self._file = target, file
        self._schema: Any = None
        self._writer: Any = None  # of the Parquet file, or of the scratch file's last stream of batches
        self._scratch: IO[bytes] | None = None
        self._waiting: list[Any] = []
        self._size = self._count = self._written = 0

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                if self._schema is None:
                    self.rows([])
                self._finish()
        finally:
            if self._writer is not None:
                with suppress(OSError, ValueError):  # without an error it is closed already, and the first one is told
                    self._writer.close()
            if self._scratch is not None:
                self._scratch.close()

    def rows(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Take rows of JSON.

        Raises:
            BadInput: they do not fit into the columns.
        """
        self._flush()
        self._write(as_table(found, self._schema, self._target, self._written + 1))

    def batch(self, found: Any) -> None:
        """Take an Arrow batch.

        Raises:
            BadInput: it does not fit into the columns.
        """
        if self._waiting and not found.schema.equals(self._waiting[-1].schema):
            self._flush()
        self._waiting.append(found)
        self._count, self._size = self._count + len(found), self._size + found.nbytes
        if self._count >= GROUP or self._size >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._waiting, self._count, self._size = [], 0, 0
            if self._schema is not None:
                table = self._fitted(table, wider_schema(self._schema, table.schema))
            self._write(table)

    def _write(self, table: Any) -> None:
        import pyarrow as pa

        try:
            if self._schema is None or not table.schema.equals(self._schema):
                self._begin(table.schema)
            self._writer.write_table(table)
        except pa.ArrowException as error:
            raise self._refused(error) from None
        self._written += len(table)

    def _begin(self, schema: Any) -> None:
        """Go over to columns of ``schema``."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        if self._schema is None and not any(empty_object(field.type) for field in schema):
            self._writer = ParquetWriter(self._file, schema, compression="zstd")
        else:
            if self._writer is not None:
                self._writer.close()
            if self._scratch is None:
                folder = self._target.resolve().parent
                self._scratch = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - __exit__ closes it
                self._move()
            self._writer = pa.ipc.new_stream(self._scratch, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._schema = schema

    def _move(self) -> None:
        """Bring the rows that are in the file to the scratch file."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile

        self._file.flush()
        if self._file.tell():
            written = ParquetFile(self._file)
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            with pa.ipc.new_stream(self._scratch, written.schema_arrow, options=options) as moved:
                for batch in written.iter_batches(batch_size=GROUP, use_threads=False):
                    moved.write_batch(batch)
            self._file.seek(0)
            self._file.truncate()

    def _finish(self) -> None:
        """Write what is in the scratch file under the last columns, and close the file."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        self._writer.close()
        if self._scratch is None:
            return
        end = self._scratch.tell()
        self._scratch.seek(0)
        try:
            self._writer = ParquetWriter(self._file, self._schema, compression="zstd")
            while self._scratch.tell() < end:
                with pa.ipc.open_stream(self._scratch) as stream:
                    for batch in stream:
                        self._writer.write_table(self._fitted(pa.Table.from_batches([batch]), self._schema))
            self._writer.close()
        except pa.ArrowException as error:
            raise self._refused(error) from None

    def _fitted(self, table: Any, schema: Any) -> Any:
        """The table with the columns of ``schema``, which are no narrower than its own."""
        import pyarrow as pa

        columns = []
        for field in schema:
            there = table.schema.get_field_index(field.name) >= 0
            try:
                columns.append(table[field.name].cast(field.type) if there else pa.nulls(len(table), field.type))
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise self._refused(error, f" in column {field.name[:100]!r}") from None
        return pa.table(columns, schema=schema)

    def _refused(self, error: Exception, where: str = "") -> BadInput:
        fault = f"rows of different columns, or of a kind that Parquet has not{where}"
        reason = " ".join(str(error).split())[:300]
        return BadInput(f"{self._target}: {fault} ({reason}); write JSON lines instead")

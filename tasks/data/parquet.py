"""Parquet files of rows of any shape: read in small batches within bounds, and written from batches (as they are, with their types) or from
rows of JSON (with the types that Arrow finds in the first of them).

Not here: which rows are records (record.py), datasets of examples (columns.py).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from configs.errors import BadInput
from tasks.data.columns import as_table
from tasks.data.unpacked import UNPACKED, Expansion

ROWS = 256  # a value that is stored once may fill every row of a batch
GROUP = 10_000  # rows that are written at once, or as many as have GROUP_BYTES
GROUP_BYTES = 2**27


def batches(path: Path) -> Iterator[Any]:
    """The file's rows as Arrow batches.

    Raises:
        BadInput: it is no Parquet file that can be read, or holds more than such a file may.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    row = 0
    try:
        expansion = Expansion(path)
        with ParquetFile(path) as file:
            _check_declared(file.metadata, path)
            if double := [name for name, count in Counter(file.schema_arrow.names).items() if count > 1]:
                raise BadInput(f"{path}: the column {double[0][:100]!r} is there twice; rename one")
            for batch in file.iter_batches(batch_size=_at_once(file.metadata), use_threads=False):
                expansion.add(_size(batch))
                row += len(batch)
                yield batch
    except (OSError, ArrowException, ValueError, MemoryError) as error:
        raise BadInput(f"{path}: not a Parquet file, or not readable as Parquet after row {row} ({' '.join(str(error).split())[:300]})") from None


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any], tuple[Any, int]]]:
    """Number and value of every row, and its batch with its place there. A map is an object whose keys are text.

    Raises:
        BadInput: as in :func:`batches`, or a value has no form in Python; names the row.
    """
    number = 0
    for batch in batches(path):
        try:
            found = _values(batch)
        except (ValueError, OverflowError, TypeError, KeyError, ArithmeticError, NotImplementedError) as error:
            fault = " ".join(str(error).split())[:300]
            raise BadInput(f"{path}: a value in rows {number + 1} to {number + len(batch)} cannot be read ({fault})") from None
        for place, row in enumerate(found):
            number += 1
            yield number, row, (batch, place)


def _size(batch: Any) -> int:
    """Bytes of the rows, also of texts that are there once and meant often."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size = int(batch.nbytes)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type):
            size += pc.sum(pc.binary_length(column.dictionary_decode())).as_py() or 0
    return size


def taken(batch: Any, places: Any) -> Any:
    """The rows of a batch at ``places``, which ascend."""
    import pyarrow as pa

    try:
        return batch.take(pa.array(places, pa.int64()))
    except pa.ArrowNotImplementedError:  # for string_view and the like
        return pa.concat_batches([batch.slice(place, 1) for place in places] or [batch.slice(0, 0)])


def _values(batch: Any) -> list[dict[str, Any]]:
    """The rows in Python's types."""
    if not any(_has_time(field.type) for field in batch.schema):
        try:
            found: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="strict")
            return found
        except (ValueError, OverflowError, KeyError):
            pass
    names = batch.schema.names
    columns = [_column(column) for column in batch.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _column(column: Any) -> list[Any]:
    """Its values: a map with a key twice as pairs, times of nanoseconds and beyond the year 9999 as text, inside of lists too."""
    import pyarrow as pa

    if not _has_time(column.type):
        for maps in ("strict", None):
            try:
                found: list[Any] = column.to_pylist(maps_as_pydicts=maps)
                return found
            except (OverflowError, KeyError):
                continue
            except ValueError:
                if not (pa.types.is_temporal(column.type) or pa.types.is_nested(column.type)):
                    raise
    if pa.types.is_nested(column.type):
        return _nested(column)
    text: list[Any] = column.cast(pa.string()).to_pylist()
    return text


def _nested(column: Any) -> list[Any]:
    """The values of a column of structs, maps or lists, each part by itself."""
    import pyarrow as pa

    if pa.types.is_struct(column.type):
        names = [field.name for field in column.type]
        parts = [_column(part) for part in column.flatten()]
        return [dict(zip(names, (part[row] for part in parts), strict=True)) if there else None for row, there in enumerate(column.is_valid().to_pylist())]
    if not pa.types.is_map(column.type):
        return [_column(one.values) if one.is_valid else None for one in column]
    found: list[Any] = []
    for one in column:
        pairs = list(zip(*(_column(part) for part in one.values.flatten()), strict=True)) if one.is_valid else None
        found.append(pairs if pairs is None or len(dict(pairs)) < len(pairs) else dict(pairs))
    return found


def _has_time(kind: Any) -> bool:
    """Whether a time of day that may have nanoseconds, which Python's has not, is in an Arrow type."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_has_time(field.type) for field in kind)
    if pa.types.is_map(kind):
        return _has_time(kind.key_type) or _has_time(kind.item_type)
    return bool(pa.types.is_time64(kind)) or (pa.types.is_nested(kind) and hasattr(kind, "value_type") and _has_time(kind.value_type))


def _check_declared(metadata: Any, path: Path) -> None:
    """Refuse what says of itself that it unpacks to too much, before any of it is."""
    expansion = Expansion(path)
    for group in range(metadata.num_row_groups):
        expansion.add(max(0, metadata.row_group(group).total_byte_size))


def _at_once(metadata: Any) -> int:
    """Rows of a batch: few where a column is packed so densely that one value may be very long."""
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.total_uncompressed_size > max(2**22, 100 * column.total_compressed_size):
                return max(1, min(ROWS, UNPACKED // column.total_uncompressed_size))
    return ROWS


class Table:
    """Writes ``target`` through ``file``; ``with Table(target, file) as table``. Its columns are those of what came first."""

    def __init__(self, target: Path, file: IO[bytes]) -> None:
        self._target, self._file = target, file
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._size = self._count = 0

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                if self._writer is None:
                    self.rows([])
        finally:
            if self._writer is not None:
                self._writer.close()

    def rows(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Take rows of JSON.

        Raises:
            BadInput: they do not fit into the columns.
        """
        self._flush()
        self._write(as_table(found, self._writer.schema if self._writer else None, self._target))

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
            self._write(table)

    def _write(self, table: Any) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        try:
            if self._writer is None:
                self._writer = ParquetWriter(self._file, table.schema, compression="zstd")
            schema = self._writer.schema
            if not table.schema.equals(schema):
                table = table.cast(schema) if table.schema.names == schema.names else as_table(table.to_pylist(), schema, self._target)
            self._writer.write_table(table)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise BadInput(
                f"{self._target}: rows of different columns, or of a kind that Parquet has not ({' '.join(str(error).split())[:300]}); write JSON lines instead"
            ) from None

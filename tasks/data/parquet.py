"""Parquet files of rows of any shape, read in small batches within bounds.

Not here: which rows are records (record.py), and writing (parquet_table.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs.errors import BadInput
from tasks.data.unpacked import UNPACKED, Expansion

ROWS = 256  # a value that is stored once may fill every row of a batch


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
        except (ValueError, OverflowError, TypeError, KeyError, ArithmeticError) as error:
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
    import pyarrow as pa

    if not any(pa.types.is_time64(field.type) for field in batch.schema):
        try:
            found: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="strict")
            return found
        except (ValueError, OverflowError, KeyError):
            pass
    names = batch.schema.names
    columns = [_column(column) for column in batch.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _column(column: Any) -> list[Any]:
    """Its values: a map with a key twice as pairs, times of nanoseconds and beyond the year 9999 as text."""
    import pyarrow as pa

    if not pa.types.is_time64(column.type):
        for maps in ("strict", None):
            try:
                found: list[Any] = column.to_pylist(maps_as_pydicts=maps)
                return found
            except (OverflowError, KeyError):
                continue
            except ValueError:
                if not pa.types.is_temporal(column.type):
                    raise
    text: list[Any] = column.cast(pa.string()).to_pylist()
    return text


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

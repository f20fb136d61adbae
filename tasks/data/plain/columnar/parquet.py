"""Parquet files of rows of any shape, read in small batches within bounds.

Not here: which rows are records (record.py), and writing (parquet_table.py).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs.errors import BadInput
from tasks.data.plain.packing.unpacked import UNPACKED, Expansion

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
            if double := [name for name, count in Counter(file.schema_arrow.names).items() if count > 1]:
                raise BadInput(f"{path}: the column {double[0][:100]!r} is there twice; rename one")
            for batch in file.iter_batches(batch_size=_at_once(file.metadata), use_threads=False):
                expansion.add(_size(batch))
                row += len(batch)
                yield batch
    except (OSError, ArrowException, ValueError, MemoryError) as error:
        raise BadInput(
            f"{path}: not a Parquet file, or not readable as Parquet after row {row} "
            f"({' '.join(str(error).split())[:300]})"
        ) from None


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
            raise BadInput(
                f"{path}: a value in rows {number + 1} to {number + len(batch)} cannot be read ({fault})"
            ) from None
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
    """Its values: a map with a key twice as pairs, times of nanoseconds and beyond the year 9999 as text, inside of
    lists too."""
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
        return [
            dict(zip(names, (part[row] for part in parts), strict=True)) if there else None
            for row, there in enumerate(column.is_valid().to_pylist())
        ]
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
    return bool(pa.types.is_time64(kind)) or (
        pa.types.is_nested(kind) and hasattr(kind, "value_type") and _has_time(kind.value_type)
    )


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

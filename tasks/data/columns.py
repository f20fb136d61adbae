"""Rows as columns: a dataset as Parquet beside its JSON lines, the same fields, one column each, prices as decimal text; and rows of
any shape as an Arrow table.

Not here: reading and writing plain files (files.py, dedup/files.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blocks.records import Example
from configs.errors import BadInput

CELLS = 20_000_000  # rows times columns of a table that is made at once


def as_table(rows: Sequence[Mapping[str, Any]], schema: Any, target: Path) -> Any:
    """An Arrow table of ``rows``, under ``schema`` where there is one. Arrow by itself leaves out, without a word, what the first row
    or the schema does not have.

    Raises:
        BadInput: a value or a field does not fit; names ``target``.
    """
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) * len(rows) > CELLS:
        raise BadInput(f"{target}: the records have {len(names):,} different fields, too many for the columns of one table; write JSON lines instead")
    try:
        found = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
        if schema is None:
            return found
        if lost := [name for name in names if name not in schema.names] or [field.name for field in found.schema if not _holds(schema.field(field.name).type, field.type)]:
            raise KeyError(f"{lost[0][:100]!r} has no place in the columns of the first ones")
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(f"{target}: the records' fields do not fit into one table ({' '.join(str(error).split())[:300]}); write JSON lines instead") from None


def _holds(wide: Any, narrow: Any) -> bool:
    """Whether every field inside the Arrow type ``narrow`` is one inside ``wide``."""
    import pyarrow as pa

    if pa.types.is_struct(narrow) and pa.types.is_struct(wide):
        return all(wide.get_field_index(field.name) >= 0 and _holds(wide.field(field.name).type, field.type) for field in narrow)
    if pa.types.is_list(narrow) and pa.types.is_list(wide):
        return _holds(wide.value_type, narrow.value_type)
    return True  # what else does not fit, Arrow refuses


def write_parquet(path: Path, examples: list[Example]) -> None:
    """Write examples under a fixed schema, so that every dataset has the same columns whatever its rows leave out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [example.model_dump(mode="json") for example in examples]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema(pa)), path, compression="zstd")


def _schema(pa: Any) -> Any:
    text, number = pa.string(), pa.float64()
    names = ("domain", "difficulty", "task_type", "complexity", "requires_reasoning", "harm_category", "token_count", "quality_score", "teacher_model", "source", "license")
    kinds = {"requires_reasoning": pa.bool_(), "token_count": pa.int64(), "quality_score": number}
    metadata = pa.struct([(name, kinds.get(name, text)) for name in names])
    lineage = pa.list_(pa.struct([(name, text) for name in ("call", "teacher", "purpose", "dollars")]))
    columns = [(name, text) for name in ("id", "prompt", "draft", "thinking", "response")]
    return pa.schema([*columns, ("metadata", metadata), ("lineage", lineage)])

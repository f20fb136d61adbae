"""Rows as columns: a dataset as Parquet beside its JSON lines, the same fields, one column each, prices as decimal
text; and rows of any shape as an Arrow table.

Not here: how types go together (column_types.py), reading and writing plain files (files.py, dedup/files.py).
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from blocks.records import Example
from configs.errors import BadInput
from tasks.data.plain.columnar.column_types import clash, holds, wider_schema

CELLS = 20_000_000  # rows times columns of a table that is made at once


def as_table(rows: Sequence[Mapping[str, Any]], schema: Any, target: Path, first: int = 1) -> Any:
    """An Arrow table of ``rows``, the first of which is number ``first``; under ``schema``, that of the rows before,
    made wider where these need it. Arrow by itself leaves out, without a word, what the first row or the schema does
    not have.

    Raises:
        BadInput: a value does not go together with those before it; names ``target``, row and field.
    """
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    _check_cells(names if schema is None else {*names, *schema.names}, rows, target)
    try:
        found = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
        wanted = found.schema if schema is None else wider_schema(schema, found.schema)
        if lost := [field.name for field in found.schema if not holds(wanted.field(field.name).type, field.type)]:
            raise KeyError(f"{lost[0][:100]!r} has no place in the columns of the first ones")
        return found if wanted.equals(found.schema) else pa.Table.from_pylist(rows, schema=wanted)
    except (pa.ArrowException, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        told = clash(rows, schema, first) or " ".join(str(error).split())[:300]
        fault = f"{told}; the records' fields do not fit into one table"
        raise BadInput(f"{target}: {fault}, write JSON lines instead") from None


def _check_cells(names: Collection[str], rows: Sequence[Any], target: Path) -> None:
    if len(names) * len(rows) > CELLS:
        fault = f"the records have {len(names):,} different fields, too many for the columns of one table"
        raise BadInput(f"{target}: {fault}; write JSON lines instead")


def write_parquet(path: Path, examples: list[Example]) -> None:
    """Write examples under a fixed schema, so that every dataset has the same columns whatever its rows leave out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [example.model_dump(mode="json") for example in examples]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema(pa)), path, compression="zstd")


def _schema(pa: Any) -> Any:
    text, number = pa.string(), pa.float64()
    names = (
        "domain",
        "difficulty",
        "task_type",
        "complexity",
        "requires_reasoning",
        "harm_category",
        "token_count",
        "quality_score",
        "teacher_model",
        "source",
        "license",
    )
    kinds = {"requires_reasoning": pa.bool_(), "token_count": pa.int64(), "quality_score": number}
    metadata = pa.struct([(name, kinds.get(name, text)) for name in names])
    lineage = pa.list_(pa.struct([(name, text) for name in ("call", "teacher", "purpose", "dollars")]))
    columns = [(name, text) for name in ("id", "prompt", "draft", "thinking", "response")]
    return pa.schema([*columns, ("metadata", metadata), ("lineage", lineage)])

"""A dataset's rows as Parquet, beside the JSON lines: the same fields, one column each, prices as decimal text.

Not here: plain files of any record (files.py).
"""

from pathlib import Path
from typing import Any

from blocks.records import Example


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

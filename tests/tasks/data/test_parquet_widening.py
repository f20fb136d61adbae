"""Rows of JSON as Parquet when the first ten thousand do not tell the columns' types."""

import hashlib
import json
import re
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile, read_table, write_table

from configs.errors import BadInput
from tasks.data.dedup.files import dedup_files
from tasks.data.plain.columnar import parquet_table
from tasks.data.plain.files import writer
from tasks.data.plain.record import Plain
from tests.tasks.data.test_parquet_types import COLUMNS
from tests.tasks.data.test_parquet_types import put as write_typed

Row = dict[str, Any]
MANY = 10_001  # more than are written at once


def put(path: Path, rows: Iterable[Row]) -> Path:
    with writer(path) as write:
        for row in rows:
            write(Plain(row["id"], row["prompt"], row["response"], row))
    return path


def row(number: int, fields: Row) -> Row:
    """A record that is no near-duplicate of another."""
    return {"id": f"i{number}", "prompt": hashlib.sha256(b"%d" % number).hexdigest(), "response": "r"} | fields


@pytest.mark.parametrize(
    ("usual", "late", "kind"),
    [
        ({"extra": None}, {"extra": "one"}, pa.string()),
        ({}, {"extra": "one"}, pa.string()),
        ({"extra": 1}, {"extra": 1.5}, pa.float64()),
        ({"extra": 1.5}, {"extra": 1}, pa.float64()),
        ({"extra": []}, {"extra": ["one"]}, pa.list_(pa.string())),
        ({"extra": {"a": None}}, {"extra": {"a": {"b": 1}}}, pa.struct([("a", pa.struct([("b", pa.int64())]))])),
        ({"extra": {"a": 1}}, {"extra": {"b": True}}, pa.struct([("a", pa.int64()), ("b", pa.bool_())])),
        (
            {"extra": [{"a": None}]},
            {"extra": [{"b": []}]},
            pa.list_(pa.struct([("a", pa.null()), ("b", pa.list_(pa.null()))])),
        ),
        ({"extra": {}}, {"extra": {"a": 1}}, pa.struct([("a", pa.int64())])),
    ],
)
def test_a_column_takes_the_type_that_comes_later(usual: Row, late: Row, kind: Any, tmp_path: Path) -> None:
    rows = [row(number, usual if number < MANY else late) for number in range(MANY + 1)]
    out = read_table(put(tmp_path / "rows.parquet", rows))
    assert out.schema.field("extra").type == kind
    first, last = out.slice(0, 1).to_pylist()[0], out.slice(MANY, 1).to_pylist()[0]
    assert (len(out), out["id"].to_pylist()) == (MANY + 1, [one["id"] for one in rows])
    assert without_nulls(last) == without_nulls(rows[-1])
    assert without_nulls(first) == without_nulls(rows[0])
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    dedup_files([tmp_path / "in.jsonl"], tmp_path / "deduplicated.parquet", threshold=1.0)
    assert read_table(tmp_path / "deduplicated.parquet").equals(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deduplicated.parquet", "in.jsonl", "rows.parquet"]


def without_nulls(value: Any) -> Any:
    """The value without fields that are null: in a table a field that is left out is null."""
    if isinstance(value, dict):
        return {name: found for name, one in value.items() if (found := without_nulls(one)) not in (None, {})}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def test_columns_may_change_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_table, "GROUP", 7)
    rows = [row(number, {f"f{number // 10}": number, "score": 1 if number < 60 else 0.5}) for number in range(100)]
    out = read_table(put(tmp_path / "rows.parquet", rows)).to_pylist()
    assert [without_nulls(one) for one in out] == rows


@pytest.mark.parametrize(
    ("usual", "late", "told"),
    [
        (1, "one", "field 'extra': text, but a whole number in the rows before"),
        (True, 1, "field 'extra': a whole number, but true or false in the rows before"),
        ({"a": [{"b": 1}]}, {"a": [{"b": "x"}]}, r"field 'extra.a\[\].b': text, but a whole number in the rows before"),
        ({"a": 1}, [1], "field 'extra': a list, but an object in the rows before"),
        (0.5, 2**60 + 1, "field 'extra': .*exactly representable"),
        ("one", 2**70, "field 'extra': .*too large"),
    ],
)
@pytest.mark.parametrize("at", [3, MANY])
def test_what_conflicts_is_one_line_with_row_and_field(
    usual: Any, late: Any, told: str, at: int, tmp_path: Path
) -> None:
    rows = (row(number, {"extra": late if number == at else usual}) for number in range(MANY + 1))
    with pytest.raises(BadInput) as refused:
        put(tmp_path / "rows.parquet", rows)
    place = re.escape(f"{tmp_path / 'rows.parquet'}: row {at + 1:,} (id 'i{at}'), ")
    assert re.match(f"{place}{told}", str(refused.value))
    assert str(refused.value).endswith("write JSON lines instead")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [3, MANY - 1, MANY])
def test_a_whole_number_that_no_fraction_holds_is_refused_with_its_column(at: int, tmp_path: Path) -> None:
    rows = (row(number, {"extra": 0.5 if number == at else 2**60 + 1}) for number in range(MANY + 1))
    with pytest.raises(BadInput, match=r"'extra'.*1152921504606846977.*write JSON lines instead"):
        put(tmp_path / "rows.parquet", rows)


def test_parquet_files_of_different_columns_go_together(tmp_path: Path) -> None:
    late = {"a": pa.nulls(3), "b": pa.array(["x", "y", None]), "c": pa.array(["z"] * 3, pa.large_string())}
    for name, column in late.items():
        named = [f"{name}{number}" for number in range(3)]
        columns = {"id": named, "prompt": named, "response": ["r"] * 3, "late": column}
        only = {"only": pa.array([1, 2, 3], pa.int8())} if name == "b" else {}
        write_table(pa.table(columns | only), tmp_path / f"{name}.parquet")
    dedup_files([tmp_path / f"{name}.parquet" for name in "abc"], tmp_path / "out.parquet", threshold=1.0)
    out = read_table(tmp_path / "out.parquet")
    assert out["late"].to_pylist() == [None, None, None, "x", "y", None, "z", "z", "z"]
    assert out["only"].to_pylist() == [None, None, None, 1, 2, 3, None, None, None]
    assert out.schema.field("only").type == pa.int8()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_stays_what_it_is_when_another_comes(name: str, tmp_path: Path) -> None:
    """What was written moves to a scratch file and back."""
    source = write_typed(tmp_path / "typed.parquet", name, COLUMNS[name][0])
    (tmp_path / "more.jsonl").write_text(json.dumps({"prompt": "something else", "response": "r", "note": "n"}) + "\n")
    dedup_files([source, tmp_path / "more.jsonl"], tmp_path / "out.parquet", threshold=1.0)
    out, typed = read_table(tmp_path / "out.parquet"), read_table(source)
    assert out.drop_columns("note").schema.equals(typed.schema)
    assert str(out.slice(0, len(typed))[name].to_pylist()) == str(typed[name].to_pylist())
    assert (out["note"].to_pylist(), out[name][-1].as_py()) == ([None, None, "n"], None)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Ten times the rows, and the type of a column known only by the last: no more is held than of one lot of rows."""

    def peak(count: int) -> int:
        before = pa.total_allocated_bytes()
        most = 0

        def rows() -> Iterable[Row]:
            nonlocal most
            for number in range(count):
                if number % 1000 == 0:
                    most = max(most, pa.total_allocated_bytes() - before)
                yield row(number, {"text": f"{number:0200}", "late": None if number < count - 1 else "x"})

        tracemalloc.start()
        try:
            path = put(tmp_path / f"{count}.parquet", rows())
            python = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert ParquetFile(path).metadata.num_rows == count
        return most + python

    assert peak(60_000) < 1.5 * peak(20_000)

"""Columns of every type: from Parquet to Parquet they stay as they are, to JSON they have one form."""

import json
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.parquet import read_table, write_table

from configs.errors import BadInput
from tasks.data.dedup.files import dedup_files
from tasks.data.plain.files import read, writer

NAN = float("nan")
COLUMNS: dict[str, tuple[pa.Array, list[Any]]] = {
    "decimal": (pa.array([Decimal("1.25"), None]), ["1.25", None]),
    "bytes": (pa.array([b"\xff\x00", None]), ["/wA=", None]),
    "duration": (pa.array([timedelta(seconds=3), timedelta(days=-1)]), ["PT3S", "-PT86400S"]),
    "nanoseconds": (pa.array([1, None], pa.duration("ns")), ["PT0.000000001S", None]),
    "timestamp": (pa.array([1, None], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001", None]),
    "zone": (pa.array([0, None], pa.timestamp("s", "Europe/Paris")), ["1970-01-01T01:00:00+01:00", None]),
    "date": (pa.array([date(2024, 5, 6), None]), ["2024-05-06", None]),
    "time": (pa.array([time(1, 2, 3), None], pa.time32("s")), ["01:02:03", None]),
    "time of nanoseconds": (pa.array([1, None], pa.time64("ns")), ["00:00:00.000000001", None]),
    "map": (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None]),
    "map of numbers": (pa.array([[(1, "a")], []], pa.map_(pa.int64(), pa.string())), [{"1": "a"}, {}]),
    "map with a key twice": (
        pa.array([[("k", 1), ("k", 2)], None], pa.map_(pa.string(), pa.int64())),
        [[["k", 1], ["k", 2]], None],
    ),
    "nested": (pa.array([{"a": [{"b": Decimal("1.0")}]}, None]), [{"a": [{"b": "1.0"}]}, None]),
    "dictionary": (pa.array(["a", None]).dictionary_encode(), ["a", None]),
    "large text": (pa.array(["a", None], pa.large_string()), ["a", None]),
    "text view": (pa.array(["a", None], pa.string_view()), ["a", None]),
    "uint64": (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    "half": (pa.array([1.5, NAN], pa.float16()), [1.5, NAN]),
    "infinite": (pa.array([float("inf"), NAN]), [float("inf"), NAN]),
    "null": (pa.nulls(2), [None, None]),
}


def put(path: Path, name: str, column: Any, asked: str = "prompt", said: str = "response") -> Path:
    rows = len(column)
    write_table(
        pa.table(
            {
                "id": [f"i{row}" for row in range(rows)],
                asked: [f"p{row}" for row in range(rows)],
                said: [f"r{row}" for row in range(rows)],
                name: column,
            }
        ),
        path,
    )
    return path


def copied(source: Path, out: Path) -> Path:
    with writer(out) as write:
        for _, record in read([source]):
            write(record)
    return out


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type(name: str, tmp_path: Path) -> None:
    column, values = COLUMNS[name]
    source = put(tmp_path / "in.parquet", name, column)
    whole = read_table(source)
    dedup_files([source], tmp_path / "deduplicated.parquet", threshold=1.0)
    for out in (copied(source, tmp_path / "out.parquet"), tmp_path / "deduplicated.parquet"):
        assert read_table(out).schema.equals(whole.schema)
        assert str(read_table(out)[name]) == str(whole[name])
    dedup_files([source], tmp_path / "deduplicated.jsonl", threshold=1.0)
    written = copied(source, tmp_path / "out.jsonl").read_text()
    assert (tmp_path / "deduplicated.jsonl").read_text() == written
    assert str([json.loads(line)[name] for line in written.splitlines()]) == str(values)
    alpaca = read_table(
        copied(put(tmp_path / "alpaca.parquet", name, column, "instruction", "output"), tmp_path / "made.parquet")
    )
    assert alpaca.schema.names == ["id", "prompt", "response", name]
    assert alpaca.schema.field(name).type == whole.schema.field(name).type


@pytest.mark.parametrize("late", [pa.array([None] * 10_000 + ["far"]), pa.array([[]] * 10_000 + [["far"]])])
def test_a_column_that_is_empty_at_first_keeps_its_type(late: Any, tmp_path: Path) -> None:
    source = put(tmp_path / "in.parquet", "late", late)
    out = read_table(copied(source, tmp_path / "out.parquet"))
    assert out.equals(read_table(source))


def test_what_has_no_form_is_one_line(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(2, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe"))
    source = put(tmp_path / "in.parquet", "text", broken)
    for command in (
        lambda: copied(source, tmp_path / "out.jsonl"),
        lambda: dedup_files([source], tmp_path / "out.jsonl"),
    ):
        with pytest.raises(BadInput, match=r"in.parquet: a value in rows 1 to 2 cannot be read \('utf-8'"):
            command()
    assert list(tmp_path.iterdir()) == [source]


def test_more_fields_than_a_table_takes_are_refused(tmp_path: Path) -> None:
    lines = (
        json.dumps({"prompt": f"p{row}", "response": "r", **{f"f{row}-{field}": 1 for field in range(100)}})
        for row in range(600)
    )
    (tmp_path / "in.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(BadInput, match=r"60,002 different fields, too many for the columns of one table"):
        copied(tmp_path / "in.jsonl", tmp_path / "out.parquet")


def test_times_inside_of_lists_maps_and_structs_keep_their_value(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    far = pa.array([[2**30, 1], None], pa.list_(pa.date32()))
    fine = pa.array([[1, None], []], pa.list_(pa.time64("ns")))
    inner = pa.array([{"day": 2**30}, None], pa.struct([("day", pa.date32())]))
    keyed = pa.array([[("k", 1)], [("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.time64("ns")))
    texts = ["Name a hill in Rome.", "Name a river there."]
    path = tmp_path / "in.parquet"
    write_table(
        pa.table({"prompt": texts, "response": texts, "far": far, "fine": fine, "inner": inner, "keyed": keyed}), path
    )
    first, second = (found.record.row for found in read([path]))
    assert str(first["far"][1]) == "1970-01-02"
    assert "1073741824" in first["far"][0]
    assert "1073741824" in first["inner"]["day"]
    assert first["fine"] == ["00:00:00.000000001", None]
    assert first["keyed"] == {"k": "00:00:00.000000001"}
    assert (second["far"], second["fine"], second["inner"]) == (None, [], None)
    assert second["keyed"] == [("k", "00:00:00.000000001"), ("k", "00:00:00.000000002")]
    assert dedup_files([path], tmp_path / "out.parquet")["kept"] == 2


def test_every_command_refuses_bytes_for_text_and_a_column_that_is_there_twice(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    path = tmp_path / "in.parquet"
    for table, fault in (
        (pa.table({"prompt": [b"a b"], "response": ["c d"]}), r"in.parquet:1: field 'prompt' is bytes, not text"),
        (
            pa.table({"id": [Decimal(1)], "prompt": ["a b"], "response": ["c d"]}),
            r"in.parquet:1: field 'id' is Decimal, not text",
        ),
        (
            pa.table([["a b"], ["c d"], [1], [2]], names=["prompt", "response", "x", "x"]),
            r"in.parquet: the column 'x' is there twice; rename one",
        ),
    ):
        write_table(table, path)
        for command in (lambda: list(read([path])), lambda: dedup_files([path], tmp_path / "out.jsonl")):
            with pytest.raises(BadInput, match=fault):
                command()

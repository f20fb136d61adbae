"""What people's files hold in place of a text: every source alike reads it as text or counts the row, and the others go
on."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from blocks.records import Example
from configs.errors import BadInput
from configs.phases.collecting import SourceQuota
from tasks.data.collect.collect import Collected, collect_source
from tasks.data.collect.sources import SOURCES
from tasks.data.collect.values import readable
from tasks.data.plain.commands.collect import collect_files
from tasks.data.tokens import counter
from tests.tasks.data.test_collect import SHAPES

ODD: tuple[Any, ...] = (
    None,
    5,
    1.5,
    float("nan"),
    True,
    [],
    [1],
    {},
    {"a": 1},
    "",
    " ",
    "2024-03-01",
    10**40,
    [[]],
    [None],
    [{"type": "image"}],
)


def collected(path: Path, source: str = "alpaca") -> tuple[list[Example], Collected]:
    return collect_source(source, SourceQuota(records=1000, keep=1000, files=(str(path),)), None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9, "9"),
        (2.0, "2"),
        (0.1, "0.1"),
        (float("nan"), None),
        (Decimal("1.50"), "1.50"),
        (True, "true"),
        (datetime(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 12, tzinfo=UTC), "2024-03-01T12:00:00+00:00"),
        (date(2024, 3, 1), "2024-03-01"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (
            [{"type": "text", "text": "a"}, {"type": "image_url"}],
            [{"type": "text", "text": "a"}, {"type": "image_url"}],
        ),
        ([], []),
        ({"value": [7]}, {"value": ["7"]}),
    ],
)
def test_a_value_is_read_as_its_text(value: Any, text: Any) -> None:
    assert readable(value) == text


@pytest.mark.parametrize("name", SOURCES)
def test_no_value_ends_the_reading_of_any_source(name: str, tmp_path: Path) -> None:
    """Each field of the source's own row, in turn, holds each odd value, at every depth; and rows without any field."""
    full = SHAPES[name][0]
    with (tmp_path / "in.jsonl").open("w") as file:
        for number, value in enumerate(ODD):
            for row in full:
                for field in row:
                    changed = [
                        {**other, **({"id": f"{number}-{field}"} if "id" in other and name == "bfcl" else {})}
                        for other in full
                    ]
                    changed[full.index(row)][field] = value
                    file.writelines(json.dumps(one) + "\n" for one in changed)
                for field, inner in row.items():
                    for change in _inside(inner, value):
                        file.write(json.dumps({**row, field: change}) + "\n")
        file.write("{}\n")
        file.writelines(json.dumps({**row, "id": "whole"} if name == "bfcl" else row) + "\n" for row in full)
    examples, report = collected(tmp_path / "in.jsonl", name)
    assert report.unusable > 0
    assert SHAPES[name][1:] in [(e.prompt, e.response, e.thinking) for e in examples], "the sound row is there"
    assert all(e.prompt.strip() and e.response.strip() for e in examples)


def _inside(value: Any, put: Any) -> list[Any]:
    """``value`` with ``put`` in each of its places below the first."""
    if isinstance(value, dict):
        return [{**value, key: change} for key, inner in value.items() for change in (put, *_inside(inner, put))]
    if isinstance(value, list):
        return [
            [*value[:place], change, *value[place + 1 :]]
            for place, inner in enumerate(value)
            for change in (put, *_inside(inner, put))
        ]
    return []


def test_reasons_are_counted_and_nothing_kept_is_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"instruction": "a", "output": None},
        {"instruction": "a", "output": [1]},
        {"instruction": "a", "output": " "},
        {"text": "a"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = {"no response": 1, "response is list, not text": 1, "empty response": 1, "no field 'instruction'": 1}
    assert collected(path)[1].reasons == expected
    with pytest.raises(
        BadInput, match=r"none of the 4 rows can be used \(alpaca: 1 no response, .*\); is it the right source"
    ):
        collect_files([f"alpaca={path}"], out, 100)
    assert not out.exists()
    path.write_text("")
    assert collect_files([f"alpaca={path}"], out, 100).records == 0, "no rows are no fault"
    with pytest.raises(BadInput, match="alpaca=: names no files"):
        collect_files(["alpaca="], out, 100)


SAID = {"Name a bird.": "A wren.", 'Say "hi", please.': "two\nlines; yes, 2", "Sum\t3 4": "007"}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.csv", "utf-8"),
        ("a.csv", "utf-8-sig"),
        ("a.tsv", "utf-8"),
        ("a.tsv", "utf-16"),
        ("a.csv.gz", "utf-8"),
        ("a.tsv.zst", "utf-8"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_of_every_dialect(name: str, encoding: str, end: str, delimiter: str, tmp_path: Path) -> None:
    import csv
    import gzip
    import io

    import zstandard

    if ".tsv" in name:
        delimiter = "\t"
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=delimiter, lineterminator=end)
    table.writerows(
        [
            ["instruction", "input", "output"],
            *([asked, "", said] for asked, said in SAID.items()),
            [],
            ["a", "", "b", "too many"],
            ["short"],
        ]
    )
    data = text.getvalue().encode(encoding)
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(Path(name).suffix, bytes)(data)
    (tmp_path / name).write_bytes(packed)
    examples, report = collected(tmp_path / name)
    assert {e.prompt: e.response for e in examples} == SAID
    assert (report.read, report.unusable) == (5, 2)


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\ninstruction;output\nName a hill, please.;The Aventine; or so\n".replace("; or", ", or"),
        "instruction, output\nName a hill; please.,The Aventine\n".replace("; please", " please"),
        "instruction,output,,\nName a hill please.,The Aventine,,\n",
        ",instruction,output\n7,Name a hill please.,The Aventine,,\n",
    ],
)
def test_what_spreadsheets_put_around_a_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    examples, report = collected(tmp_path / "a.csv")
    assert (len(examples), report.unusable) == (1, 0)
    assert examples[0].prompt.startswith("Name a hill")
    assert examples[0].response.startswith("The Aventine")


def test_utf_16_that_was_cut_off_and_utf_32_are_named(tmp_path: Path) -> None:
    content = "instruction,output\nName a hill please.,The Aventine\n"
    for data, fault in (
        (content.encode("utf-16")[:-1], "truncated data"),
        (content.encode("utf-32"), "UTF-32; save it as UTF-8"),
    ):
        (tmp_path / "a.csv").write_bytes(data)
        with pytest.raises(BadInput, match=rf"a.csv: damaged, or no csv \(.*{fault}"):
            collected(tmp_path / "a.csv")


def test_a_name_with_brackets_is_a_file_and_nobody_has_no_home(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text(json.dumps({"instruction": "Name a hill.", "output": "The Aventine."}) + "\n")
    assert len(collected(tmp_path / "a[1].jsonl")[0]) == 1
    with pytest.raises(BadInput, match=r"'~nobody-of-that-name/a.jsonl': "):
        collect_files(["alpaca=~nobody-of-that-name/a.jsonl"], tmp_path / "out.jsonl", 100)
    with pytest.raises(BadInput, match="~nobody-of-that-name/a"):
        counter("~nobody-of-that-name/a")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('instruction,output\n"a,b\n', r"unexpected end of data"),
        ("instruction,output,output\na,b,c\n", "the column 'output' is there twice"),
        ('instruction,output\n"a" b,c\n', "expected after"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(content: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(BadInput, match=rf"a.csv: damaged, or no csv \(.*{fault}"):
        collected(tmp_path / "a.csv")


def test_files_keep_what_a_reader_would_take_for_dates_and_nulls(tmp_path: Path) -> None:
    rows = [{"instruction": f"Which day is number {number}?", "output": f"2024-03-0{number}"} for number in range(1, 6)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {e.response for e in collected(tmp_path / "a.jsonl")[0]} == {row["output"] for row in rows}
    (tmp_path / "a.csv").write_text("instruction,output\nOne?,None\nTwo?,NULL\nThree?,nan\nFour?,1.0\n")
    assert {e.response for e in collected(tmp_path / "a.csv")[0]} == {"None", "NULL", "nan", "1.0"}
    import pyarrow as pa
    from pyarrow.parquet import write_table

    table = pa.table(
        {"instruction": ["One?", "Two?", "Three?"], "output": pa.array([date(2024, 3, 1), None, date(2024, 3, 2)])}
    )
    write_table(table, tmp_path / "a.parquet")
    examples, report = collected(tmp_path / "a.parquet")
    assert {e.response for e in examples} == {"2024-03-01", "2024-03-02"}
    assert report.reasons == {"no response": 1}

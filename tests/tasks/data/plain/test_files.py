import gzip
import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from configs.errors import BadInput
from tasks.data.dedup.files import dedup_files
from tasks.data.plain.files import objects, read, writer
from tasks.data.plain.record import Plain

text = st.text(st.characters(exclude_categories=["Cs"]))
record = st.fixed_dictionaries({"id": text, "prompt": text, "response": text, "tags": st.lists(st.integers(0, 9))})
KINDS = (".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet")


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    with writer(path) as write:
        for row in rows:
            write(Plain(row["id"], row["prompt"], row["response"], row))
    return path


@pytest.mark.parametrize("suffix", KINDS)
@given(st.lists(record, max_size=5))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_any_text_comes_back_from_every_kind_of_file(tmp_path: Path, suffix: str, rows: list[dict[str, Any]]) -> None:
    path = put(tmp_path / f"rows{suffix}", rows)
    assert [found.record.row for found in read([path])] == rows


def test_alpaca_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.jsonl"
    path.write_text(
        '{"instruction": "Add.", "input": "1 2", "output": "3"}\n\n{"instruction": "Hello ", "input": "", "output": '
        '"Hi", "lang": "en"}\n'
    )
    first, second = (found.record for found in read([path]))
    assert (first.id, first.prompt, first.response) == ("alpaca-1", "Add.\n\n1 2", "3")
    assert second.row == {"id": "alpaca-3", "prompt": "Hello", "response": "Hi", "lang": "en"}


def test_lines_end_with_a_newline_only_and_pass_through_unchanged(tmp_path: Path) -> None:
    line = '{"id": "1",  "prompt": "a\u2028b\u0085c", "response": "\\u0041", "n": 1.50}'.encode()
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n")
    with writer(out) as write:
        for _, found in read([path]):
            write(found)
    assert out.read_bytes() == line + b"\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "1", "prompt": "a"', r"rows.jsonl:2: not JSON"),
        (b'["id"]', r"rows.jsonl:2: list instead of a JSON object"),
        (b'{"id": "1", "prompt": "a"}', r"rows.jsonl:2: field 'response' is missing"),
        (b'{"id": 1.5, "prompt": "a", "response": "b"}', r"rows.jsonl:2: field 'id' is float, not text"),
        (b'{"id": ["1"], "prompt": "a", "response": "b"}', r"rows.jsonl:2: field 'id' is list, not text"),
        (b'{"id": "1", "prompt": null, "response": "b"}', r"rows.jsonl:2: field 'prompt' is null, not text"),
        (b'{"id": "1", "prompt": 7, "response": "b"}', r"rows.jsonl:2: field 'prompt' is int, not text"),
        (
            b'{"instruction": "a", "input": [], "output": null}',
            r"rows.jsonl:2: instruction, input and output must be text",
        ),
        (b'{"id": "1", "prompt": "\xff", "response": "b"}', r"rows.jsonl:2: not JSON"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_one_bad_line_is_named_with_its_place(tmp_path: Path, line: bytes, message: str, suffix: str) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    data = b'{"id": "0", "prompt": "a", "response": "b"}\n' + line + b"\n"
    path.write_bytes({"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix](data))
    with pytest.raises(BadInput, match=message.replace("jsonl:", f"jsonl{suffix}:")):
        list(read([path]))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = put(
        tmp_path / f"rows.jsonl.{suffix}",
        [{"id": str(i), "prompt": f"p{i * 7919}", "response": f"r{i * 104729}"} for i in range(5000)],
    )
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match="damaged after line"):
        list(read([path]))


def test_wrong_kinds_and_missing_files_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "a.parquet").write_text("x")
    (tmp_path / "a.jsonl").write_text('[{"id": "1"}]')
    with pytest.raises(BadInput, match=r"a.csv: not a kind of file"):
        list(read([tmp_path / "a.csv"]))
    with pytest.raises(BadInput, match="no such file"):
        list(read([tmp_path / "b.jsonl"]))
    with pytest.raises(BadInput, match="not readable as Parquet"):
        list(read([tmp_path / "a.parquet"]))
    with pytest.raises(BadInput, match=r"a.jsonl:1: list instead of a JSON object; .* one record"):
        list(read([tmp_path / "a.jsonl"]))
    with pytest.raises(BadInput, match="not a kind of file that is written"), writer(tmp_path / "a.xlsx"):
        pass
    with pytest.raises(BadInput, match="cannot be written"), writer(Path("/proc/nowhere/a.jsonl")):
        pass


def test_a_failure_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = put(tmp_path / "rows.jsonl", [{"id": "old", "prompt": "a", "response": "b"}])

    def fail() -> None:
        with writer(path) as write:
            write(Plain("new", "a", "b", {"id": "new"}))
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    assert [row["id"] for _, row, _ in objects(path)] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz", "rows.json.zst"])
def test_a_json_array_is_read_like_lines(tmp_path: Path, name: str) -> None:
    rows = [
        {"instruction": "Add\u2028them", "input": hashlib.sha256(bytes(row)).hexdigest(), "output": "é"}
        for row in range(2500)
    ]
    data = b"\xef\xbb\xbf" + orjson.dumps(rows, option=orjson.OPT_INDENT_2)
    (tmp_path / name).write_bytes(
        {"json": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}[name.rsplit(".", 1)[1]](data)
    )
    assert [(row["input"], number) for number, row, _ in objects(tmp_path / name)] == [
        (row["input"], number) for number, row in enumerate(rows, 1)
    ]
    report = dedup_files([tmp_path / name], tmp_path / "out.jsonl", threshold=1.0, pairs=tmp_path / "pairs.jsonl")
    assert (report["records"], report["kept"]) == (2500, 2500)
    assert [row for _, row, _ in objects(tmp_path / "out.jsonl")] == rows
    (tmp_path / "broken.json").write_bytes(data[3:-1])
    for read_it in (
        lambda: list(objects(tmp_path / "broken.json")),
        lambda: dedup_files([tmp_path / "broken.json"], tmp_path / "x.jsonl"),
    ):
        with pytest.raises(BadInput, match=r"broken.json: not a JSON array that can be read"):
            read_it()


def test_a_field_that_the_first_record_leaves_out_is_kept(tmp_path: Path) -> None:
    from pyarrow.parquet import read_table

    rows = [
        {"id": "0", "prompt": "a", "response": "b"},
        {"id": "1", "prompt": "a", "response": "b", "thinking": "c", "metadata": {"score": 2}},
    ]
    assert read_table(put(tmp_path / "rows.parquet", rows)).to_pylist()[1] == rows[1]


def test_datasets_opens_what_was_written(tmp_path: Path) -> None:
    from datasets import load_dataset

    rows = [{"id": str(i), "prompt": f"p\u2028{i}", "response": "r"} for i in range(50)]
    for suffix, kind in ((".jsonl", "json"), (".jsonl.zst", "json"), (".parquet", "parquet")):
        path = put(tmp_path / f"rows{suffix}", rows)
        assert list(load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))) == rows
    assert orjson.loads((tmp_path / "rows.jsonl").read_bytes().split(b"\n")[0]) == rows[0]

"""From files to a file: formats, order, atomicity, errors with file and line."""

import gzip
import json
import os
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadInput
from tasks.data.dedup import lines, sets
from tasks.data.dedup.files import dedup_files
from tasks.data.dedup.near import deduplicate
from tests.places import ROOT
from tests.small_disk import mounted

BASE = [
    "Sort the list of numbers in ascending order",
    "Name three colours of the rainbow",
    "Translate the word naïve: 素朴な — done",
    "Add two and two",
]


def sample(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records with copies and near copies, some with U+2028, U+0085 and escaped line breaks inside."""
    noise = random.Random(seed)
    records = []
    for row in range(count):
        prompt = noise.choice(BASE) + noise.choice(["", "!", " please", "\u2028and \u0085more\n"])
        response = " ".join(noise.choices(["one", "two", "three", "four"], k=3)) * 4
        records.append(
            {"id": f"r{row}", "prompt": prompt, "response": response, "metadata": {"quality_score": noise.randrange(3)}}
        )
    return records


def write(path: Path, records: list[dict[str, Any]], ascii_only: bool = False) -> Path:
    data = "".join(json.dumps(record, ensure_ascii=ascii_only) + "\n" for record in records).encode()
    if path.suffix == ".zst":
        half = len(data) // 2  # two frames, as concatenated files have
        data = zstandard.ZstdCompressor().compress(data[:half]) + zstandard.ZstdCompressor().compress(data[half:])
    elif path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    elif path.suffix == ".gz":
        data = gzip.decompress(data)
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


def test_the_result_is_that_of_deduplicate_and_lines_stay_as_they_are(tmp_path: Path) -> None:
    records = sample(300)
    source = write(tmp_path / "in.jsonl", records)
    report = dedup_files([source], tmp_path / "out.jsonl", pairs=tmp_path / "pairs.jsonl")
    found = deduplicate(
        [record["prompt"] + "\n" + record["response"] for record in records],
        [record["metadata"]["quality_score"] for record in records],
    )
    assert {name: report[name] for name in ("records", "exact_duplicates", "near_duplicates", "clusters", "kept")} == {
        "records": 300,
        "exact_duplicates": found.exact_duplicates,
        "near_duplicates": found.near_duplicates,
        "clusters": found.clusters,
        "kept": len(found.kept),
    }
    assert report["records_per_second"] > 0
    assert found.near_duplicates > 20
    original = source.read_bytes().split(b"\n")
    kept = (tmp_path / "out.jsonl").read_bytes().split(b"\n")
    assert set(kept) <= set(original)
    positions = [original.index(line) for line in kept[:-1]]
    assert positions == sorted(positions)
    by_id = {record["id"]: record for record in records}
    listed = read(tmp_path / "pairs.jsonl")
    kept_ids = {record["id"] for record in read(tmp_path / "out.jsonl")}
    assert {pair["dropped"] for pair in listed} == set(by_id) - kept_ids
    assert {pair["keeper"] for pair in listed} <= kept_ids
    assert [int(pair["dropped"][1:]) for pair in listed] == sorted(int(pair["dropped"][1:]) for pair in listed)
    assert all(0.8 <= pair["jaccard"] <= 1 for pair in listed)
    assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "out.jsonl", "pairs.jsonl"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["star", "single"]))
def test_order_sharding_and_threads_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shards: int, threads: int, linkage: str
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    records = sample(80, seed)
    dedup_files([write(folder / "whole.jsonl", records)], folder / "one.jsonl", threads=1, linkage=linkage)  # type: ignore[arg-type]
    noise = random.Random(seed)
    noise.shuffle(records)
    parts = [write(folder / f"part{shard}.jsonl", records[shard::shards]) for shard in range(shards)]
    dedup_files(parts, folder / "many.jsonl", threads=threads, linkage=linkage)  # type: ignore[arg-type]
    assert sorted((folder / "one.jsonl").read_bytes().split(b"\n")) == sorted(
        (folder / "many.jsonl").read_bytes().split(b"\n")
    )


@pytest.mark.parametrize("kind", [".jsonl", ".jsonl.zst", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("block", [97, lines.BLOCK])
def test_every_format_gives_the_same(tmp_path: Path, kind: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    records = sample(120)
    dedup_files([write(tmp_path / "plain.jsonl", records, ascii_only=True)], tmp_path / "expected.jsonl")
    source = tmp_path / f"in{kind}"
    if kind == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), source)
    else:
        write(source, records)
    monkeypatch.setattr(lines, "BLOCK", block)
    for target in ("out.jsonl", "out.jsonl.zst", "out.jsonl.gz"):
        dedup_files([source], tmp_path / target)
        assert read(tmp_path / target) == read(tmp_path / "expected.jsonl")
    before = (tmp_path / "out.jsonl.gz").read_bytes()
    dedup_files([source], tmp_path / "out.jsonl.gz")
    assert (tmp_path / "out.jsonl.gz").read_bytes() == before, "no times, no names inside"


def test_parquet_goes_to_parquet_as_it_was_and_lines_become_rows(tmp_path: Path) -> None:
    records = [
        record | {"made": datetime(2026, 1, 1 + row % 28), "small": row % 100}
        for row, record in enumerate(sample(3000))
    ]
    table = pyarrow.Table.from_pylist(records)
    table = table.set_column(table.schema.get_field_index("small"), "small", table["small"].cast(pyarrow.int8()))
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    dedup_files([tmp_path / "in.parquet"], tmp_path / "out.parquet")
    dedup_files([tmp_path / "in.parquet"], tmp_path / "out.jsonl")
    kept = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert kept.schema.equals(table.schema)
    wanted = [record["id"] for record in read(tmp_path / "out.jsonl")]
    assert kept.to_pylist() == [record for record in records if record["id"] in set(wanted)]
    lines_too = write(tmp_path / "more.jsonl", [{"id": "extra", "prompt": "something", "response": "else"}])
    report = dedup_files([lines_too], tmp_path / "lines.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "lines.parquet").to_pylist() == read(lines_too)
    assert report["kept"] == 1
    other = write(tmp_path / "other.jsonl", [{"prompt": "a", "response": "b", "note": "c", "small": 3}])
    dedup_files([tmp_path / "in.parquet", other], tmp_path / "mixed.parquet")
    mixed = pyarrow.parquet.read_table(tmp_path / "mixed.parquet")
    assert mixed.drop_columns("note").slice(0, len(kept)).equals(kept)
    assert mixed["note"].to_pylist() == [None] * len(kept) + ["c"]
    other = write(tmp_path / "other.jsonl", [{"prompt": "a", "response": "b", "small": 300}])
    told = f"refused.parquet: row {len(kept) + 1:,} .*field 'small': a whole number, but int8 in the rows before"
    with pytest.raises(BadInput, match=told):
        dedup_files([tmp_path / "in.parquet", other], tmp_path / "refused.parquet")
    assert not (tmp_path / "refused.parquet").exists()


def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", sample(3000))
    code = (
        "import sys, time; from pathlib import Path; from tasks.data.dedup import files, lines\n"
        "copy = lines.Lines.copy\n"
        "def slow(self, kept, out):\n    copy(self, kept, out); out.flush(); print('written', flush=True); "
        "time.sleep(100)\n"
        "lines.Lines.copy = slow\n"
        "files.dedup_files([Path(sys.argv[1])], Path(sys.argv[2]), pairs=Path(sys.argv[3]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, source, tmp_path / "out.jsonl", tmp_path / "pairs.jsonl"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert os.listdir(tmp_path) == ["in.jsonl"]


def test_alpaca_and_dolly_fields_blank_lines_and_a_missing_last_line_end(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    rows = [
        {"instruction": "Add the numbers", "input": "two and three", "output": "the sum is five"},
        {"prompt": "Add the numbers\ntwo and three", "response": "the sum is five"},
        {"instruction": "Add the numbers", "context": "two and three", "response": "The sum is FIVE"},
        {"instruction": "Say something else entirely", "input": "", "output": "as you wish"},
        {"id": 7, "instruction": "Say something else entirely", "output": "as you wish"},
    ]
    source.write_text("\n  \n" + "\n\t\n".join(json.dumps(row) for row in rows))
    report = dedup_files([source], tmp_path / "out.jsonl", pairs=tmp_path / "pairs.jsonl")
    assert (report["records"], report["exact_duplicates"], report["kept"]) == (5, 3, 2)
    assert len((tmp_path / "out.jsonl").read_text().split("\n")) == 3
    assert {pair["dropped"] for pair in read(tmp_path / "pairs.jsonl")} <= {
        7,
        *(f"in.jsonl:{number}" for number in (3, 5, 7, 9, 11)),
    }


def test_empty_inputs_and_an_output_over_its_input(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert dedup_files([empty, empty], tmp_path / "out.jsonl")["records"] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    source = write(tmp_path / "in.jsonl", sample(50))
    kept = dedup_files([empty, source, empty], source)["kept"]
    assert len(read(source)) == kept < 50


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"}', r"in.jsonl:3: field 'response' is missing; .* it has 'prompt'"),
        ('{"prompt": 1, "response": "b"}', r"in.jsonl:3: field 'prompt' is int, not text"),
        ('{"prompt": "a", "response": "b"', r"in.jsonl:3: not JSON"),
        ('["prompt"]', r"in.jsonl:3: list instead of a JSON object"),
        (
            '{"prompt": "a", "response": "b", "metadata": {"quality_score": "high"}}',
            r"in.jsonl:3: metadata.quality_score is not a finite number",
        ),
        (
            '{"prompt": "a", "response": "b", "metadata": {"quality_score": NaN}}',
            r"in.jsonl:3: metadata.quality_score is not a finite number",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_written(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "a", "response": "b"}\n\n' + line + "\n")
    (tmp_path / "out.jsonl").write_text("before")
    with pytest.raises(BadInput, match=message):
        dedup_files([tmp_path / "in.jsonl"], tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "out.jsonl"]


def test_what_orjson_refuses_and_json_accepts_is_read(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "a lone \\ud800 surrogate", "response": "b", "loss": NaN}\n' * 2)
    assert dedup_files([tmp_path / "in.jsonl"], tmp_path / "out.jsonl")["exact_duplicates"] == 1


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(BadInput, match=r"none.jsonl: no such file"):
        dedup_files([tmp_path / "none.jsonl"], out)
    (tmp_path / "in.csv").touch()
    with pytest.raises(BadInput, match=r"in.csv: cannot tell what it is"):
        dedup_files([tmp_path / "in.csv"], out)
    source = write(tmp_path / "in.jsonl", sample(5))
    with pytest.raises(BadInput, match=r"out.csv: cannot tell from its name what to write"):
        dedup_files([source], tmp_path / "out.csv")
    for kind in ("gz", "zst"):
        damaged = write(tmp_path / f"in.jsonl.{kind}", sample(500))
        damaged.write_bytes(damaged.read_bytes()[:-5])
        with pytest.raises(BadInput, match=rf"in.jsonl.{kind}: damaged"):
            dedup_files([damaged], out)
    (tmp_path / "in.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(BadInput, match=r"in.parquet: not a Parquet file"):
        dedup_files([tmp_path / "in.parquet"], out)
    with pytest.raises(BadInput, match=r"cannot read or write"):
        dedup_files([source], source / "out.jsonl")
    assert not out.exists()


def test_an_input_that_changes_meanwhile_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.jsonl", sample(50))
    copy = lines.Lines.copy

    def change_first(self: lines.Lines, kept: Any, out: Any) -> None:
        write(source, sample(60))
        copy(self, kept, out)

    monkeypatch.setattr(lines.Lines, "copy", change_first)
    with pytest.raises(BadInput, match=r"in.jsonl: changed while it was read"):
        dedup_files([source], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "small"
    with mounted(disk, "64k"):
        source = write(
            tmp_path / "in.jsonl",
            [{"prompt": f"prompt {row * row}", "response": f"{row**7} is the answer"} for row in range(5000)],
        )
        (disk / "out.jsonl").write_text("before")
        with pytest.raises(BadInput, match="No space left"):
            dedup_files([source], disk / "out.jsonl", pairs=disk / "pairs.jsonl")
        assert os.listdir(disk) == ["out.jsonl"]
        assert (disk / "out.jsonl").read_text() == "before"


def test_sets_on_disk_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.jsonl", sample(200))
    dedup_files([source], tmp_path / "memory.jsonl", linkage="single")
    monkeypatch.setattr(sets, "ON_DISK_ABOVE", 0)
    dedup_files([source], tmp_path / "disk.jsonl", linkage="single")
    assert (tmp_path / "disk.jsonl").read_bytes() == (tmp_path / "memory.jsonl").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["disk.jsonl", "in.jsonl", "memory.jsonl"]

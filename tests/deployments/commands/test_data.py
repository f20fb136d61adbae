"""`cogumi data` in careless hands: what is refused before any work, and what stays as it was."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import BadInput, GateFailed, Transient
from deployments.commands.data import app

ROWS = [
    {
        "id": str(number),
        "prompt": f"Name {number} things.",
        "response": " ".join(f"thing{number}x{one}" for one in range(30)),
    }
    for number in range(4)
]


def data(*arguments: object) -> None:
    app([str(one) for one in arguments], standalone_mode=False)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_out_is_written_over_also_when_it_is_the_input(rows: Path, tmp_path: Path) -> None:
    rows.write_bytes(2 * rows.read_bytes())
    out = tmp_path / "out.jsonl"
    for _ in range(2):
        data("dedup", rows, out)
        assert len(out.read_text().splitlines()) == len(ROWS)
    data("dedup", rows, rows)
    assert len(rows.read_text().splitlines()) == len(ROWS)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("filter", "--rejects"),
        ("filter", "--report"),
        ("dedup", "--pairs"),
        ("dedup", "--report"),
        ("stats", "--report"),
    ],
)
def test_no_option_writes_over_what_is_read_or_written(command: str, option: str, rows: Path, tmp_path: Path) -> None:
    out = [] if command == "stats" else [tmp_path / "out.jsonl"]
    before = rows.read_bytes()
    for target in (rows, *out):
        link = tmp_path / "link.jsonl"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        for named in (target, link):
            with pytest.raises(BadInput, match=r"is (read|written) by the same command; name another file to write"):
                data(command, rows, *out, option, named)
    assert rows.read_bytes() == before
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("command", ["stats", "verify"])
def test_a_last_file_of_records_is_read_not_written_over(
    command: str, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array = tmp_path / "more.json"
    array.write_text(json.dumps([{**row, "id": f"b{row['id']}", "prompt": f"And {row['prompt']}"} for row in ROWS]))
    before = array.read_bytes()
    with contextlib.suppress(GateFailed):  # verify finds them too few
        data(command, rows, array)
    assert json.loads(capsys.readouterr().out)["records"] == 2 * len(ROWS)
    assert array.read_bytes() == before


def test_an_earlier_report_is_written_over(rows: Path, tmp_path: Path) -> None:
    for count in (1, 2):
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:count]))
        data("stats", rows, tmp_path / "report.json")
        assert json.loads((tmp_path / "report.json").read_text())["records"] == count


@pytest.mark.parametrize("bad", ["", "afile/report.json", "/proc/1/x/report.json"])
def test_a_report_that_cannot_be_written_is_said_before_any_work(bad: str, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    with pytest.raises(BadInput, match=r"a folder; name a file|cannot be written"):
        data("dedup", rows, tmp_path / "new" / "out.jsonl", "--report", tmp_path / bad)
    assert not (tmp_path / "new").exists()


def test_a_device_is_written_to_and_not_replaced(rows: Path) -> None:
    data("stats", rows, "--report", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_a_missed_threshold_is_told_with_its_number(rows: Path, tmp_path: Path) -> None:
    rows.write_bytes(2 * rows.read_bytes())
    with pytest.raises(GateFailed, match="repeated ids = 4, must be == 0"):
        data("verify", rows)


def test_fields_that_a_filter_reads_are_text(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + json.dumps({**ROWS[1], "draft": 5}) + "\n")
    with pytest.raises(BadInput, match=r"in.jsonl:2: field 'draft' is int, not text"):
        data("filter", tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    (tmp_path / "in.jsonl").write_text(json.dumps({**ROWS[0], "id": True}) + "\n")
    with pytest.raises(BadInput, match=r"in.jsonl:1: field 'id' is bool, not text"):
        data("stats", tmp_path / "in.jsonl")
    with pytest.raises(BadInput, match="a folder; name its files"):
        data("stats", tmp_path)


def test_evaluation_questions_may_be_parquet(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    long = (
        "Explain why the sky looks blue at noon and red in the evening, in three sentences, for a child of ten "
        "years who has never seen a prism."
    )
    rows.write_text(json.dumps({"id": "1", "prompt": long, "response": ROWS[0]["response"]}) + "\n")
    pq.write_table(pa.table({"question": [long]}), tmp_path / "test.parquet")
    data("filter", rows, tmp_path / "out.jsonl", "--against", tmp_path / "test.parquet")
    found = json.loads(capsys.readouterr().out)
    assert found["kept"] == 0


def test_collecting_from_what_is_damaged_a_folder_or_its_own_output_is_one_clear_line(
    rows: Path, tmp_path: Path
) -> None:
    before = rows.read_bytes()
    with pytest.raises(BadInput, match="is read by the same command"):
        data("collect", f"alpaca={tmp_path}/*.jsonl", "--out", rows)
    assert rows.read_bytes() == before
    with pytest.raises(BadInput, match=r"a folder; name its files, such as .*jsonl"):
        data("collect", f"alpaca={tmp_path}", "--out", tmp_path / "out.jsonl")
    (tmp_path / "a.jsonl").write_text('{"instruction": "x", "output": "y"}\n{"instruction":\n')
    (tmp_path / "a.parquet").write_text("no parquet")
    (tmp_path / "a.jsonl.gz").write_text("no gzip")
    (tmp_path / "a.csv").write_bytes(b"instruction,output\n\xff,\xfe\n")
    for name in ("a.jsonl", "a.parquet", "a.jsonl.gz", "a.csv"):
        with pytest.raises(BadInput, match=rf"{name}: damaged, or no (json|parquet|csv) \("):
            data("collect", f"alpaca={tmp_path / name}", "--out", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_collecting_writes_to_its_last_argument(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "alpaca.jsonl").write_text(
        json.dumps(
            {
                "instruction": "Name a colour of the evening sky.",
                "input": "",
                "output": "Red, mostly, and a little orange.",
            }
        )
        + "\n"
    )
    source = f"alpaca={tmp_path / 'alpaca.jsonl'}"
    data("collect", source, tmp_path / "one.jsonl")
    data("collect", source, "--out", tmp_path / "two.jsonl")
    assert len((tmp_path / "one.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    with pytest.raises(BadInput, match="give at least one source and the file to write"):
        data("collect", source)


def test_no_network_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Transient, match=r"cannot ask the hub for its revision .*; give local files, or try again"):
        data("collect", "alpaca", "--out", tmp_path / "out.jsonl")


def test_a_pattern_that_matches_nothing_is_no_report(rows: Path, tmp_path: Path) -> None:
    for name in ("*.jsonl", "other.jsonl", "valid.parquet", "more.json*"):
        with pytest.raises(BadInput, match=r"no file matches|no such file"):
            data("stats", rows, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == [rows]


def test_folding_can_be_switched_off(tmp_path: Path) -> None:
    said = " ".join(f"word{number}" for number in range(40))
    rows = [{"prompt": "Say it.", "response": said}, {"prompt": "Say it.", "response": said.replace(" ", "\u00a0")}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for option, kept in (("--fold", 1), ("--no-fold", 2)):
        data("dedup", tmp_path / "in.jsonl", tmp_path / "out.jsonl", option)
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == kept


def test_a_report_goes_through_a_pipe_whole(tmp_path: Path) -> None:
    """To look whether anybody reads it must not be the end for who does."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "in.jsonl").write_text('{"id": "1", "prompt": "a", "response": "b"}\n')
    there = os.open(
        tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK
    )  # a reader from the beginning, however late the next one comes
    reading = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True)
    command = [
        sys.executable,
        "-c",
        "from deployments.start import main; main()",
        "data",
        "stats",
        str(tmp_path / "in.jsonl"),
        "--report",
        str(tmp_path / "pipe"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=200, check=True)
    read, _ = reading.communicate(timeout=200)
    os.close(there)
    assert json.loads(read) == json.loads(done.stdout)

"""The inputs of ``COGUMI_CASES`` (default ../shared/cases), each as its README expects it. The same shapes, made here,
stand in test_record_shapes.py, test_collect_values.py, test_archives.py and test_parquet_types.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.errors import BadInput
from configs.phases.data import Data
from tasks.data.plain.commands.collect import collect_files
from tasks.data.plain.commands.dedup import dedup_files
from tasks.data.plain.commands.filter import filter_files
from tasks.data.plain.commands.stats import stats_files
from tasks.data.plain.commands.verify import verify_files
from tests.places import CASES
from tests.tasks.data.conftest import section

HOSTILE = {"cr", "deep", "float-score-text", "huge-score", "latin1", "null-response", "trailing-nul", "utf16"}


def case(name: str) -> Path:
    if not CASES.is_dir():
        pytest.skip(f"the cases are not under COGUMI_CASES ({CASES})")
    return CASES / name


def names(folder: str) -> list[str]:
    found = sorted(path.name for path in (CASES / folder).glob("*") if path.suffix != ".md") if CASES.is_dir() else []
    return [f"{folder}/{name}" for name in found] or [folder]


@pytest.fixture(scope="module")
def settings() -> Data:
    data = Data.model_validate(section("llama-8b", "data"))
    return data.model_copy(update={"filters": data.filters.model_copy(update={"workers": 1})})


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


@pytest.mark.parametrize(
    ("name", "source", "responses", "unusable"),
    [
        ("01-collect-answers-that-are-no-text/none.csv", "alpaca", {"None", "NULL", "Red"}, 0),
        ("01-collect-answers-that-are-no-text/nulls.jsonl", "alpaca", {"The Loire.", "The Aventine."}, 1),
        ("01-collect-answers-that-are-no-text/numbers.csv", "alpaca", {"9", "13"}, 0),
        ("01-collect-answers-that-are-no-text/numbers.jsonl", "alpaca", {"9", "13"}, 0),
        ("01-collect-answers-that-are-no-text/parts.jsonl", "sharegpt", {"The Ebro.", "Bilbao."}, 0),
        ("01-collect-answers-that-are-no-text/tool.jsonl", "sharegpt", {"A perch."}, 3),
        ("02-tsv/alpaca.tsv", "alpaca", {"A wren, for one.", "7, of course."}, 0),
        ("02-tsv/plain.tsv", "alpaca", {"A wren.", "It is 7."}, 0),
        ("03-dates-in-json/dates.jsonl", "alpaca", {"2024-03-01", "2023-05-31"}, 0),
        ("03-dates-in-json/mixed.jsonl", "alpaca", {"2024-03-01", "March."}, 0),
    ],
)
def test_what_is_collected(name: str, source: str, responses: set[str], unusable: int, tmp_path: Path) -> None:
    report = collect_files([f"{source}={case(name)}"], tmp_path / "out.jsonl", 100)
    assert {row["response"] for row in lines(tmp_path / "out.jsonl")} == responses
    assert report.sources[0].unusable == sum(report.sources[0].reasons.values()) == unusable


@pytest.mark.parametrize("name", names("04-zstd-long-window"))
def test_windows_of_every_size_are_read(name: str) -> None:
    assert stats_files([case(name)]).records == 2000


@pytest.mark.parametrize("name", names("05-parquet-types"))
def test_parquet_keeps_its_columns_and_has_a_form_in_json(name: str, tmp_path: Path, settings: Data) -> None:
    from pyarrow.parquet import read_schema

    source = case(name)
    filter_files([source], tmp_path / "filtered.parquet", settings)
    dedup_files([source], tmp_path / "deduplicated.parquet", settings.near_duplicates, 0)
    assert read_schema(tmp_path / "filtered.parquet").equals(read_schema(source))
    assert read_schema(tmp_path / "deduplicated.parquet").equals(read_schema(source))
    filter_files([source], tmp_path / "filtered.jsonl", settings)
    dedup_files([source], tmp_path / "deduplicated.jsonl", settings.near_duplicates, 0)
    every = set((tmp_path / "filtered.jsonl").read_bytes().split(b"\n"))
    assert set((tmp_path / "deduplicated.jsonl").read_bytes().split(b"\n")) <= every


@pytest.mark.parametrize("name", names("20-json-lines-oddities"))
def test_the_commands_agree_on_what_a_record_is(name: str, tmp_path: Path, settings: Data) -> None:
    source = case(name)
    commands: list[Callable[[], Any]] = [
        lambda: filter_files([source], tmp_path / "filtered.jsonl", settings),
        lambda: dedup_files([source], tmp_path / "deduplicated.jsonl", settings.near_duplicates, 0),
        lambda: stats_files([source]),
        lambda: verify_files([source], settings, 0),
    ]
    if source.name.split(".")[0] in HOSTILE:
        told = set()
        for command in commands:
            with pytest.raises(BadInput) as refused:
                command()
            told.add(str(refused.value))
        assert len(told) == 1
        assert not list(tmp_path.iterdir())
        return
    assert len({command().records for command in commands}) == 1
    exact = (tmp_path / "deduplicated.jsonl").read_bytes()
    for token in (b"123456789012345678901234567890", b"18446744073709551615", b"NaN", b"\\ud83d"):
        assert (token in source.read_bytes()) == (token in exact)
        assert (token in source.read_bytes()) == (token in (tmp_path / "filtered.jsonl").read_bytes())


def test_copies_that_differ_in_what_cannot_be_seen_are_dropped(tmp_path: Path, settings: Data) -> None:
    source = case("23-dedup-odd-texts/in.jsonl")
    report = dedup_files([source], tmp_path / "out.jsonl", settings.near_duplicates, 0)
    kept = [row["id"] for row in lines(tmp_path / "out.jsonl")]
    assert report.kept == sum(row["id"].startswith("keep-") for row in lines(source))
    alike = {"keep-long", "keep-nfc"}  # of each one copy stays, whichever it is
    assert {row["id"] for row in lines(source) if row["id"].startswith("keep-")} - alike <= set(kept)
    assert (
        dedup_files(
            [source], tmp_path / "out.jsonl", settings.near_duplicates.model_copy(update={"fold": False}), 0
        ).kept
        > report.kept
    )

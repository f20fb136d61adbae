import json
import subprocess
import sys
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
from tasks.data.plain.files import objects, read, writer
from tasks.data.plain.record import Plain
from tests.places import ROOT
from tests.tasks.data.conftest import section


@pytest.fixture
def settings() -> Data:
    data = Data.model_validate(section("llama-8b", "data"))
    return data.model_copy(update={"filters": data.filters.model_copy(update={"workers": 1})})


def put(path: Path, *rows: dict[str, Any]) -> Path:
    with writer(path) as write:
        for row in rows:
            write(Plain(row["id"], row["prompt"], row["response"], row))
    return path


def row(identity: str, prompt: str, response: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "prompt": prompt, "response": response, **more}


ROWS = [
    row("good", "Why is the sky blue at noon?", "Because air scatters short waves more than long ones.", tag=1),
    row("mail", "Who do I ask about the invoice?", "Write to anna.lind@firma-lind.se about it."),
    row("leak", "Please tell me how many cats does Ann have in Rome, if Ben has two.", "Three."),
    row("blank", "What is the answer to this question?", " "),
]


def test_filter_keeps_drops_and_reports(tmp_path: Path, settings: Data) -> None:
    evaluation = tmp_path / "test.jsonl"
    evaluation.write_text('{"question": "How many cats does Ann have in Rome, if Ben has two?"}\n')
    source, out, rejects = put(tmp_path / "in.jsonl", *ROWS), tmp_path / "out.jsonl.zst", tmp_path / "rejects.jsonl"
    report = filter_files([source], out, settings, rejects, [evaluation])
    assert [found.record.row for found in read([out])] == ROWS[:1]
    assert {name: count for name, count in report.rejected.items() if count} == {
        "personal_data": 1,
        "format": 1,
        "contaminated": 1,
    }
    assert report.rates["personal_data"] == 0.25
    assert (report.records, report.kept) == (4, 1)
    assert [(entry["id"], entry["reason"]) for _, entry, _ in objects(rejects)] == [
        ("mail", "personal_data"),
        ("leak", "contaminated"),
        ("blank", "format"),
    ]
    assert "lind" not in rejects.read_text()
    assert filter_files([source], out, settings).kept == 2, "without evaluation questions nothing is contaminated"


def test_several_processes_write_the_same_file_in_the_same_order(tmp_path: Path, settings: Data) -> None:
    source = put(
        tmp_path / "in.jsonl",
        *(row(str(i), f"What is {i} plus {i} in this sum?", f"It is {2 * i}." if i % 3 else " ") for i in range(3000)),
    )
    alone, together = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    filter_files([source], alone, settings)
    two = settings.model_copy(update={"filters": settings.filters.model_copy(update={"workers": 2})})
    assert filter_files([source], together, two).kept == 2000
    assert alone.read_bytes() == together.read_bytes()


def test_dedup_lists_every_dropped_record_with_its_keeper(tmp_path: Path, settings: Data) -> None:
    tide = "Explain how the tide follows the moon, and why there are two high tides a day on most coasts."
    first = put(tmp_path / "a.jsonl", row("one", tide, "It pulls."), row("other", "What is two plus two?", "Four."))
    second = put(
        tmp_path / "b.jsonl",
        row("best", tide + "..", "It pulls.", metadata={"quality_score": 9.5}),
        row("copy", tide.upper(), "IT PULLS. "),
    )
    out, pairs = tmp_path / "out.jsonl", tmp_path / "pairs.jsonl"
    report = dedup_files([first, second], out, settings.near_duplicates, 0, pairs)
    assert [found.record.id for found in read([out])] == ["other", "best"]
    listed = {entry["dropped"]: (entry["keeper"], entry["jaccard"]) for _, entry, _ in objects(pairs)}
    assert set(listed) == {"one", "copy"}
    assert sorted(jaccard == 1.0 for _, jaccard in listed.values()) in ([False, True], [False, False])
    assert (report.records, report.kept, report.exact_duplicates, report.near_duplicates) == (4, 2, 1, 1)
    assert set(json.loads(report.model_dump_json())) == {
        "records",
        "exact_duplicates",
        "near_duplicates",
        "clusters",
        "kept",
        "seconds",
        "records_per_second",
    }


def test_verify_measures_and_compares(tmp_path: Path, settings: Data) -> None:
    good = put(
        tmp_path / "train.jsonl",
        *ROWS[:1],
        *(
            row(
                f"r{i}", f"Describe place number {i} on the long way to the sea, with its name.", "A" + "bcdefgh"[i] * 3
            )
            for i in range(5)
        ),
    )
    same = put(tmp_path / "validation.jsonl", row("good", ROWS[0]["prompt"].upper(), "Because."))
    loose = settings.model_copy(
        update={
            "verification": settings.verification.model_copy(update={"english": 0.0}),
            "near_duplicates": settings.near_duplicates.model_copy(update={"threshold": 0.99}),
        }
    )
    assert verify_files([good], loose, 1).passed
    report = verify_files([good, same], loose, 1)
    assert not report.passed
    assert {check.name for check in report.checks if not check.passed} == {"repeated ids", "prompts in several files"}
    french = put(
        tmp_path / "fr.jsonl",
        *(
            row(
                str(i),
                f"Où se trouve la maison numéro {i} de la rue principale du village ?",
                "Elle est derrière l'église, à côté de la boulangerie.",
            )
            for i in range(30)
        ),
    )
    found = verify_files([french], settings, 1)
    assert found.english.n == 30
    assert found.english.high < 0.2


def test_stats_count_what_is_there(tmp_path: Path) -> None:
    path = put(
        tmp_path / "a.jsonl",
        row("1", "one two", "three"),
        row("2", "One  two", "four five", metadata={"domain": "math", "source": "x"}, draft=None),
    )
    report = stats_files([path])
    assert report.records == 2
    assert report.distinct_prompts == 1
    assert report.fields == {"id": 2, "prompt": 2, "response": 2, "metadata": 1}
    assert report.by == {"domain": {"math": 1}, "source": {"x": 1}}
    assert report.words["response"]["mean"] == 1.5


def test_collect_reads_named_sources_from_local_files(tmp_path: Path) -> None:
    (tmp_path / "alpaca.jsonl").write_text(
        '{"instruction": "Name three colours of the rainbow.", "input": "", "output": "Red, yellow and blue."}\n'
    )
    report = collect_files([f"alpaca={tmp_path}/alpaca.jsonl"], tmp_path / "out.jsonl", 10)
    assert report.sources[0].license == "CC-BY-NC-4.0"
    assert report.sources[0].revision.startswith("sha256:")
    assert next(iter(read([tmp_path / "out.jsonl"]))).record.row["metadata"]["source"] == "alpaca"
    with pytest.raises(BadInput, match="unknown source 'alpacca'"):
        collect_files(["alpacca"], tmp_path / "out.jsonl", 10)


def test_an_evaluation_file_without_questions_is_refused(tmp_path: Path, settings: Data) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "no"}\n')
    with pytest.raises(BadInput, match=r"test.jsonl:1: no field prompt, question or problem"):
        filter_files(
            [put(tmp_path / "in.jsonl", *ROWS)], tmp_path / "out.jsonl", settings, against=[tmp_path / "test.jsonl"]
        )


@pytest.mark.all
@pytest.mark.timeout(1200)
def test_the_chain_on_the_corpora(corpus: Callable[[str], Path], tmp_path: Path) -> None:
    corpus("alpaca")
    root = ROOT
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.data_chain", "--out", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["verify"]["passed"]
    assert report["filter"]["kept"] > 0.98 * report["collect"]["records"]

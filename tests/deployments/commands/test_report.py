"""A real run that ends at a gate: its log lines are JSON, its report says where and with which numbers; runs are found
by id and name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert

from blocks import store
from blocks.journal import history
from blocks.journal.journal import Journal
from configs.errors import BadInput
from deployments.commands.report import report
from tasks.release.current import promote
from tests.migrated import migrated
from tests.tiny import TINY

COGUMI = [sys.executable, "-c", "from deployments.start import main; main()"]


class Ended(NamedTuple):
    home: Path
    done: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A dataset that misses its gate, made by the command line with JSON logs."""
    home = migrated(tmp_path_factory.mktemp("ended"))
    overrides = [
        part
        for one in [*TINY, "data.verification.fill=1", "data.planning.easy_oversample=1"]
        for part in ("--set", one)
    ]
    return Ended(home, cogumi(home, "run", "--json", "--phase", "dataset", *overrides))


def cogumi(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "COGUMI_HOME": str(home), "PREFECT_HOME": str(home / "prefect")}
    env.pop("PREFECT_API_URL", None)
    return subprocess.run([*COGUMI, *arguments], env=env, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture
def lines(ended: Ended) -> list[dict[str, Any]]:
    """The run's log; the last line on stderr is the command's own error."""
    *logged, error = ended.done.stderr.strip().split("\n")
    assert error.startswith("cogumi: gate dataset: "), ended.done.stderr
    return [json.loads(line) for line in logged]


def test_every_log_line_is_json_with_run_and_step(ended: Ended, lines: list[dict[str, Any]]) -> None:
    assert ended.done.returncode == 3
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    steps = [line for line in lines if line["logger"] == "cogumi.step"]
    assert {"plan", "write_questions", "judge"} <= {line["step"] for line in steps}
    assert len({line["run"] for line in steps}) == 1
    assert {line["flow"] for line in steps} == {"pipeline", "dataset"}
    assert all(len(line["step_id"]) == 36 for line in steps)
    assert [line["flow_run"] for line in steps if line["flow"] == "pipeline"] == [steps[0]["run"]]
    inside = [line for line in lines if line["logger"] == "cogumi.data"]
    assert all(line["step"] and len(line["step_id"]) == 36 for line in inside), (
        "what a step says itself carries its ids too"
    )


def test_a_run_that_ended_at_a_gate_has_a_report(ended: Ended, lines: list[dict[str, Any]], tmp_path: Path) -> None:
    run = next(line["run"] for line in lines if "run" in line)
    told = cogumi(ended.home, "report", run[:13])
    assert told.returncode == 0, told.stderr
    missed = ended.done.stderr.strip().split("\n")[-1].removeprefix("cogumi: gate dataset: ")
    assert f"ended at gate dataset of phase dataset: {missed}" in told.stdout
    parsed = json.loads(cogumi(ended.home, "report", "--json", "--output", str(tmp_path / "run.json")).stdout)
    assert json.loads((tmp_path / "run.json").read_text()) == parsed
    assert parsed["run"] == run
    assert parsed["phases"]["dataset"]["failed"] == 1
    assert parsed["release"] is None
    assert any(one.startswith("dataset-") for one in parsed["artifacts"])
    assert float(parsed["dollars"]) > 0
    assert parsed["name"] in cogumi(ended.home, "report", parsed["name"]).stdout


def test_its_metrics_count_the_gate_and_the_steps(ended: Ended) -> None:
    shown = cogumi(ended.home, "metrics", "--once").stdout
    assert 'cogumi_gates_total{gate="dataset",outcome="failed"} 1.0' in shown
    assert 'cogumi_steps_total{flow="dataset",outcome="ran",step="judge"} 1.0' in shown
    assert 'cogumi_steps_total{flow="dataset",outcome="failed",step="gate"} 1.0' in shown


def note(run: str, name: str, what: str, outcome: str, detail: dict[str, Any], step: str = "gate") -> None:
    journal = Journal(None)
    with journal.writing() as db:
        row = {
            "at": 1000.0,
            "run": run,
            "run_name": name,
            "flow_run": run,
            "flow": "release",
            "what": what,
            "name": step,
            "outcome": outcome,
            "seconds": 1.0,
            "detail": json.dumps(detail),
        }
        db.execute(insert(history.happenings).values(**row))
    journal.close()


def test_a_run_with_a_release_has_its_page_and_later_failures_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with store.create("release") as folder:
        (folder.path / "base.gguf").write_text("base")
    with store.create("report") as page:
        (page.path / "report.html").write_text("<p>")
    promote(folder.artifact, page.artifact, keep=1)
    note(
        "aaaa-1",
        "brave-fox",
        "release",
        "promoted",
        {"release": folder.artifact.digest, "report": page.artifact.digest},
    )
    report("brave-fox", None, False)
    shown = capsys.readouterr().out
    assert f"ended with release {folder.artifact.digest[:12]} (promoted)" in shown
    assert f"{page.artifact.uri}/report.html" in shown
    report(None, None, False)
    assert capsys.readouterr() == (f"{page.artifact.uri}/report.html\n", "")
    note("aaab-2", "calm-owl", "step", "failed", {"artifacts": [], "error": "Transient: gone"}, step="sft")
    report(None, None, False)
    out, err = capsys.readouterr()
    assert out == f"{page.artifact.uri}/report.html\n"
    assert (
        err
        == "the last run, calm-owl, ended in step sft of phase release: Transient: gone; see: cogumi report calm-owl\n"
    )
    report(folder.artifact.digest[:10], None, False)
    assert capsys.readouterr().out == f"{page.artifact.uri}/report.html\n"
    with pytest.raises(BadInput, match=r"2 runs are called or begin with 'aaa': brave-fox aaaa-1, calm-owl aaab-2"):
        report("aaa", None, False)
    with pytest.raises(BadInput, match=r"no release or run 'tame-cat' here; the last runs: brave-fox, calm-owl"):
        report("tame-cat", None, False)
    with pytest.raises(BadInput, match="cannot write /nowhere/x"):
        report("calm-owl", Path("/nowhere/x"), False)


def test_a_damaged_journal_takes_the_report_from_nobody_and_says_what_to_do(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.create("release") as folder:
        (folder.path / "base.gguf").write_text("base")
    with store.create("report") as page:
        (page.path / "report.html").write_text("<p>")
    promote(folder.artifact, page.artifact, 3)
    (state / "journal.db").write_bytes(b"no database" * 1000)
    report(None, None, False)
    told = capsys.readouterr()
    assert told.out == f"{page.artifact.uri}/report.html\n"
    assert re.fullmatch(
        r"nothing is known of the last run: cannot use the journal .*: file is not a database; .* move it away: .*\n",
        told.err,
    )
    with pytest.raises(BadInput, match="move it away"):
        report("anything", None, False)

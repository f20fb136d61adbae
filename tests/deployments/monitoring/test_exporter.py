"""The exporter over HTTP against the journal's own figures; alerts and dashboard name only what it exports."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, insert, select

from blocks.journal import history
from blocks.journal.journal import Journal, calls, hits
from configs.errors import BadInput
from deployments.monitoring import exporter
from tests.deployments.conftest import Asked
from tests.places import ROOT
from tests.ports import free_port

MONITORING = ROOT / "deployments" / "monitoring"


def samples(text: str) -> dict[str, float]:
    """``name{label="value",…}`` → value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found[one.name + "{" + ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())) + "}"] = (
                one.value
            )
    return found


def note(
    what: str, name: str, outcome: str, seconds: float = 0.0, detail: dict[str, Any] | None = None, at: float = 1000.0
) -> None:
    journal = Journal(None)
    with journal.writing() as db:
        row = {
            "at": at,
            "run": "r",
            "run_name": "n",
            "flow_run": "f",
            "flow": "training",
            "what": what,
            "name": name,
            "outcome": outcome,
            "seconds": seconds,
            "detail": json.dumps(detail or {}),
        }
        db.execute(insert(history.happenings).values(**row))
    journal.close()


@pytest.fixture
def here(asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy of a journal with real calls, and a history beside them."""
    home = tmp_path / "copy"
    home.mkdir()
    with (
        contextlib.closing(sqlite3.connect(asked.home / "journal.db")) as made,
        contextlib.closing(sqlite3.connect(home / "journal.db")) as copy,
    ):
        made.backup(copy)  # with what is still in its write-ahead log
    monkeypatch.setenv("COGUMI_HOME", str(home))
    for seconds in (0.5, 20.0, 100.0):
        note("step", "sft", "ran", seconds)
    note("step", "sft", "cached", 0.1)
    note("step", "evaluate", "failed", 3.0, at=2000.0)
    for value, outcome in ((1.0, "failed"), (3.0, "passed")):
        note(
            "gate",
            "fine-tuning",
            outcome,
            detail={"checks": [{"name": "gain", "value": value, "rule": ">", "threshold": 2.0, "passed": value > 2}]},
        )
    note("gate", "first", "passed", detail={"checks": []})
    note("release", "release-a", "promoted", at=1500.0)
    note("release", "release-b", "refused", at=1600.0)
    note("budget", "judge", "spent")
    journal = Journal(None)
    with journal.writing() as db:
        db.execute(insert(hits).values(account="nano", teacher="rehearsal-large", hits=7))
    journal.close()


def test_counters_are_the_journals_own(here: None) -> None:
    found = samples(generate_latest(exporter.registry()).decode())
    journal = Journal(None)
    with journal.reading() as db:
        total = Decimal(int(db.execute(select(func.sum(calls.c.price))).scalar_one())).scaleb(-9)
        judged = db.execute(select(func.count()).where(calls.c.role == "judge")).scalar_one()
    journal.close()
    assert sum(
        value for name, value in found.items() if name.startswith("cogumi_teacher_dollars_total")
    ) == pytest.approx(float(total))
    assert (
        found["cogumi_teacher_calls_total{account=nano,role=judge,state=answered,teacher=rehearsal-large}"]
        == judged
        > 0
    )
    assert found["cogumi_budget_spent_dollars{account=nano}"] == pytest.approx(float(total))
    assert found["cogumi_steps_total{flow=training,outcome=ran,step=sft}"] == 3
    assert found["cogumi_steps_total{flow=training,outcome=failed,step=evaluate}"] == 1
    assert found["cogumi_step_seconds_sum{flow=training,step=sft}"] == 120.5
    assert [
        found[f"cogumi_step_seconds_bucket{{flow=training,le={edge},step=sft}}"]
        for edge in ("1.0", "15.0", "60.0", "300.0", "+Inf")
    ] == [1, 1, 2, 3, 3]
    assert (
        found["cogumi_gates_total{gate=fine-tuning,outcome=failed}"]
        == found["cogumi_gates_total{gate=fine-tuning,outcome=passed}"]
        == 1
    )
    assert found["cogumi_gate_value{check=gain,gate=fine-tuning}"] == 3.0, "the last time"
    assert found["cogumi_gate_threshold{check=gain,gate=fine-tuning}"] == 2.0
    assert (
        found["cogumi_releases_total{outcome=refused}"]
        == found["cogumi_budget_stops_total{}"]
        == found["cogumi_journal_up{}"]
        == 1
    )
    assert found["cogumi_gate_failed_timestamp_seconds{gate=fine-tuning}"] == 1000.0
    nothing = (
        "gates_total{gate=first,outcome=failed}",
        "steps_total{flow=training,outcome=cached,step=evaluate}",
        "releases_total{outcome=kept}",
    )
    lost = "teacher_calls_total{account=nano,role=judge,state=lost,teacher=rehearsal-large}"
    assert [found[f"cogumi_{name}"] for name in (*nothing, lost)] == [0, 0, 0, 0], (
        "Prometheus sees no rise in a series that begins above 0"
    )
    assert found["cogumi_release_promoted_timestamp_seconds{}"] == 1500.0
    assert found["cogumi_last_step_timestamp_seconds{}"] == 2000.0


def test_alerts_and_dashboard_name_only_what_is_exported(here: None) -> None:
    exported = {name.split("{")[0] for name in samples(generate_latest(exporter.registry()).decode())}
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [rule["expr"] for rule in rules] + [
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    ]
    named = {name for expression in asked for name in re.findall(r"cogumi_\w+", expression)}
    assert named == exported, "nothing is asked for that is not there, and everything that is there is looked at"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    scraped = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert scraped["rule_files"] == ["alerts.yml"]
    assert scraped["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9464"]


def test_without_a_journal_nothing_is_made_and_it_says_so(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = samples(generate_latest(exporter.registry()).decode())
    assert found == {"cogumi_journal_up{}": 0.0}
    assert not (state / "journal.db").exists()
    with pytest.raises(BadInput, match="no journal here yet"):
        exporter.show()


def test_a_database_that_cannot_be_read_is_a_metric_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COGUMI_JOURNAL", f"sqlite:///{tmp_path}")
    assert samples(generate_latest(exporter.registry()).decode()) == {"cogumi_journal_up{}": 0.0}


def test_a_journal_that_waiting_does_not_mend_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COGUMI_JOURNAL", "nonsense")
    for asked in (exporter.show, lambda: exporter.serve("127.0.0.1", 1)):
        with pytest.raises(BadInput, match="COGUMI_JOURNAL is not a database URL"):
            asked()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # bound, but nobody answers as PostgreSQL
        monkeypatch.setenv(
            "COGUMI_JOURNAL", f"postgresql+psycopg://x@127.0.0.1:{silent.getsockname()[1]}/y?connect_timeout=2"
        )
        exporter.show()
    assert samples(capsys.readouterr().out) == {"cogumi_journal_up{}": 0.0}


def test_the_command_serves_until_it_is_interrupted(here: None) -> None:
    command = [sys.executable, "-c", "from deployments.start import main; main()", "metrics", "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert refused.returncode == 2, "0 is no port"
    free = free_port()
    process = subprocess.Popen([*command[:-1], str(free)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"metrics  http://127.0.0.1:{free}/metrics\n"
        assert process.stdout.readline() == "ready\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{free}/metrics", timeout=60) as reply:
            assert samples(reply.read().decode())["cogumi_releases_total{outcome=promoted}"] == 1
        note("release", "release-c", "promoted", at=time.time())
        with urllib.request.urlopen(f"http://127.0.0.1:{free}/metrics", timeout=60) as reply:
            assert samples(reply.read().decode())["cogumi_releases_total{outcome=promoted}"] == 2, (
                "computed at every scrape"
            )
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        process.kill()
        process.wait()

"""A run's steps, gates and promotions stand beside its teacher calls, in the one journal that its profile or
``COGUMI_JOURNAL`` names."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from blocks.journal import history
from blocks.journal.journal import Journal, calls
from blocks.records import GateCheck
from configs.schema import load
from flows.parameters import Chosen
from flows.phase import phase
from flows.pipeline import pipeline
from tasks.evaluation.gates import gate
from tests.blocks.teachers.test_prefect import pages
from tests.flows.test_dataset import SMALL

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]


@phase
def judged(profile: Chosen) -> str:
    gate(profile.name, [GateCheck(name="one", value=1.0, rule=">=", threshold=1.0)])
    return profile.name


def flows_noted(journal: str | None) -> set[str]:
    return {row.flow for row in history.read(journal=journal)}


def named(path: Path, overrides: Sequence[str] = ()) -> tuple[str, list[str]]:
    url = f"sqlite:///{path}"
    return url, [*overrides, f"teachers.journal={url}"]


def test_a_run_keeps_everything_in_the_journal_that_its_profile_names(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, overrides = named(tmp_path / "named.db", SMALL)
    pipeline("nano", overrides, "dataset")
    assert not (state / "journal.db").exists(), "nothing is scattered into the state folder"
    assert flows_noted(url) == {"pipeline", "dataset"}
    assert {row.what for row in history.read(journal=url)} == {"step", "gate", "teachers"}
    journal = Journal(url)
    with journal.reading() as db:
        made = db.execute(select(func.count()).select_from(calls)).scalar_one()
    journal.close()
    told = history.read(history.happenings.c.what == "teachers", journal=url)
    assert sum(one["calls"] for row in told for one in row.detail["teachers"].values()) == made > 0
    assert "| all |  |" in pages(), "the page reads it there too"
    assert history.last_run() is None, "who knows no profile looks into the state folder"
    monkeypatch.setenv("COGUMI_JOURNAL", url)
    assert history.last_run() == told[0].run


def test_runs_in_one_process_do_not_mix_and_the_environment_wins(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, overrides = named(tmp_path / "named.db")
    judged(load("nano", overrides))
    assert not (state / "journal.db").exists()
    judged(load("nano"))
    (mine,), (other,) = ({row.run for row in history.read(journal=place)} for place in (url, None))
    assert mine != other
    monkeypatch.setenv("COGUMI_JOURNAL", f"sqlite:///{tmp_path / 'environment.db'}")
    judged(load("nano", overrides))
    (third,) = {row.run for row in history.read()}
    monkeypatch.delenv("COGUMI_JOURNAL")
    assert {row.run for row in history.read(journal=url)} == {mine}
    assert third not in (mine, other)

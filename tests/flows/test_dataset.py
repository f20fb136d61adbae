"""The dataset phase as a flow on a real server: cached, and only what depends on a changed setting runs again."""

import logging

import pytest

from blocks import store
from blocks.records import DOMAINS, Artifact
from blocks.rehearsal import world
from configs.schema import Profile, load
from flows.dataset import dataset
from tasks.data import rows

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]
SMALL = [
    "data.planning.examples=64",
    "data.planning.easy_oversample=2",
    "data.planning.hard_oversample=2",
    "data.verification.english=0",
]


def held_out() -> Artifact:
    with store.create("questions", settings={}) as folder:
        rows.write(
            folder.path / rows.QUESTIONS,
            [question for domain in DOMAINS for question in world.questions(domain, "easy", "held_out", 2, 1)],
        )
    return folder.artifact


def steps_run(caplog: pytest.LogCaptureFixture, profile: Profile, evaluation: Artifact) -> tuple[Artifact, set[str]]:
    """The dataset, and the names of the steps that were not answered from the cache."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="cogumi.step"):
        made = dataset(profile, evaluation)
    said = [record.args for record in caplog.records if record.name == "cogumi.step" and isinstance(record.args, tuple)]
    return made, {str(name) for name, how, *_ in said if how == "ran" and not str(name).startswith("show_")}


def test_a_second_run_is_cached_and_a_changed_threshold_runs_only_what_depends_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    evaluation = held_out()
    first, ran = steps_run(caplog, load("nano", SMALL), evaluation)
    assert {"plan", "write_questions", "judge", "split", "verify"} <= ran
    again, ran = steps_run(caplog, load("nano", SMALL), evaluation)
    assert again == first
    assert ran == {"gate"}, "the gate speaks every time"
    other, ran = steps_run(caplog, load("nano", [*SMALL, "data.near_duplicates.threshold=0.7"]), evaluation)
    assert other != first
    assert ran == {"remove_near_duplicates", "balance", "split", "verify", "gate"}
    threads = steps_run(
        caplog,
        load("nano", [*SMALL, "data.near_duplicates.threads=1", "data.filters.workers=2", "teachers.concurrency=3"]),
        evaluation,
    )
    assert threads == (first, {"gate"}), "how the work is done is in no key"

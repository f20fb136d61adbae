"""Nights on a release whose student has learned enough to gain by a modifier: unmoved, promoted, rolled back, refused,
approved.

About six minutes on two cores. The student is small but real; nothing of the night is replaced: answers come from the
release itself.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from blocks import store
from blocks.models.template import Message
from blocks.records import Difficulty, Domain
from blocks.rehearsal import world
from configs.errors import BadInput
from deployments.serving.recording import Recorder
from deployments.serving.responder import Responder
from flows.nightly import Night, nightly
from flows.pipeline import pipeline
from tasks.improvement.account import read_account
from tasks.release.contents import describe
from tasks.release.current import current, releases, rollback
from tests.deployments.up_process import Up, get, post, until
from tests.ports import free_port
from tests.tiny import TINY

pytestmark = [pytest.mark.all, pytest.mark.timeout(900), pytest.mark.usefixtures("prefect_server")]
STUDENT = [
    *TINY,
    "training.student.tokens=300000",
    "training.student.examples={coding: 300, math: 600, tool_use: 300, reading: 600, instruction: 300}",
    "training.student.vocabulary.examples=120",
    "data.planning.examples=400",
    "evaluation.max_new_tokens=64",
    "evaluation.rehearsal={test: 6, calibration: 6}",
    "routing.router.epochs=20",
]
LEARNING = [
    "modifiers.each.0.lora.epochs=8",
    "modifiers.each.0.lora.learning_rate=0.004",
    "nightly.logged=100",
    "nightly.examination={affected: 100, elsewhere: 6}",
]
FORGETFUL = [
    "modifiers.each.0.lora.learning_rate=1.0e-8",
    "nightly.questions=30",
    "nightly.examination={affected: 60, elsewhere: 6}",
]
"""A training that learns nothing, so that what the current modifier can do is lost: the planted regression."""
QUICK = [
    "nightly.questions=20",
    "nightly.examination={affected: 5, elsewhere: 5}",
    "nightly.minimum_gain=-1",
    "nightly.tolerance=1",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    """A state folder with a release in it."""
    path = tmp_path_factory.mktemp("nightly")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COGUMI_HOME", str(path))
        pipeline("nano", STUDENT)
    return path


@pytest.fixture(autouse=True)
def shared(home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of this file go on from one another's state."""
    monkeypatch.setenv("COGUMI_HOME", str(home))


def serve(domain: Domain, difficulties: Sequence[Difficulty], count: int, seed: int) -> None:
    """Ask the current release fresh questions, as ``cogumi chat`` does."""
    release = current().release
    with Responder(store.open(release), threads=1) as responder:
        recorder = Recorder(release, responder.description)
        for difficulty in difficulties:
            for question in world.questions(domain, difficulty, "train", count, seed):
                asked = [Message(role="user", content=question.prompt)]
                assert recorder.answer(asked, responder.reply(asked)) is not None


def artifacts(kind: str) -> set[str]:
    return {one.digest for one in store.everything() if one.kind == kind}


def night(*overrides: str) -> Night:
    return nightly("nano", [*STUDENT, *overrides])


def test_a_night_without_news_makes_nothing() -> None:
    before = artifacts("adapter"), artifacts("questions")
    serve("coding", ["easy"], 5, 1)
    found = night()
    assert found.verdict == "unmoved"
    assert (artifacts("adapter"), artifacts("questions")) == before
    (cluster,) = [one for one in read_account(found.account).clusters if one.source == "serving"]
    assert (cluster.domain, cluster.records, cluster.decided) == ("coding", 5, False)
    with pytest.raises(BadInput, match="was built from profile nano, not llama-8b"):
        nightly("llama-8b")


def test_with_planted_failures_it_retrains_one_modifier_and_promotes() -> None:
    before, kept = current(), describe(store.open(current().release)).modifiers
    serve("coding", ["hard"], 40, 99)
    adapters = artifacts("adapter")
    found = night(*LEARNING)
    assert found.verdict == "promoted", found.why
    assert found.candidate is not None
    assert len(artifacts("adapter") - adapters) == 1, "one modifier, and nothing else, is trained"
    entry = current()
    assert (entry.release, entry.replaced) == (found.candidate, before.release.digest)
    told = read_account(found.account)
    assert [gain["modifier"] for gain in told.gains] == ["code"]
    assert told.comparison is not None
    assert told.comparison.affected.low > 0
    assert told.dollars > 0
    assert told.seconds > 0
    assert "from release" in (store.open(entry.report) / "report.html").read_text()
    assert set(describe(store.open(entry.release)).modifiers) == set(kept)
    with Responder(store.open(entry.release), threads=1) as responder:
        assert responder.reply([Message(role="user", content="What is 3 plus 4?")]).text


def test_the_night_after_has_nothing_to_do_and_a_rollback_goes_back() -> None:
    assert night(*LEARNING).verdict == "unmoved"
    new, old = current().release, releases().entries[-2].release
    for goal in (old, new, old, new):
        done = subprocess.run(
            [sys.executable, "-c", "from deployments.start import main; main()", "rollback"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert goal.digest[:12] in done.stdout
        assert current().release == goal
    assert [entry.release for entry in releases().entries] == [old, new]


def test_with_a_planted_regression_it_refuses_and_leaves_the_release_as_it_was() -> None:
    before = releases()
    serve("coding", ["hard"], 40, 123)
    found = night(*FORGETFUL)
    assert found.verdict == "refused", found.why
    assert "exact match on the affected domains, candidate minus current, lower end = -" in found.why
    assert found.candidate is not None
    assert releases() == before
    told = read_account(found.account)
    assert told.comparison is not None
    assert told.comparison.affected.high < 0, "the regression is real"
    assert night(*FORGETFUL).verdict == "unmoved", "what was decided on is not decided again"


def test_a_worker_asks_a_person_before_spending_and_before_promotion(home: Path) -> None:
    rollback(releases().entries[0].release.digest)
    serve("coding", ["hard"], 40, 321)
    overrides = [
        *STUDENT,
        *QUICK,
        "approval={above_dollars: 0, before_promotion: true, unattended: refuse, wait_s: 600}",
    ]
    before = releases()
    up = Up(home, "--port", str(free_port()), PREFECT_WORKER_QUERY_SECONDS="1")
    try:
        up.says("ready")
        deployment = get(up.api, "/deployments/name/nightly/nano")

        def submit() -> str:
            run: str = post(
                up.api,
                f"/deployments/{deployment['id']}/create_flow_run",
                parameters={"profile": "nano", "overrides": overrides},
            )["id"]
            return run

        def reaches(run: str, *names: str) -> str:
            def state() -> str | None:
                found: str = get(up.api, f"/flow_runs/{run}")["state_name"]
                return found if found in names else None

            reached: str = until(state, 240, lambda: f"{get(up.api, f'/flow_runs/{run}')['state']} {up.logs()}")
            return reached

        def asked(run: str, **form: object) -> None:
            """Suspended; somebody reads the form and answers."""
            assert reaches(run, "Suspended", "Completed", "Failed") == "Suspended"
            time.sleep(10)
            assert post(up.api, f"/flow_runs/{run}/resume", run_input=form)["status"] == "ACCEPT"

        refused = submit()
        asked(refused, approve=True, reason="within the month's money")
        reaches(refused, "Running", "Completed", "Failed")
        asked(refused, approve=False, reason="not this week")
        assert reaches(refused, "Completed", "Failed") == "Failed"
        assert "approval refused in the UI: not this week" in get(up.api, f"/flow_runs/{refused}")["state"]["message"]
        assert releases() == before

        approved = submit()
        asked(approved, approve=True)
        reaches(approved, "Running", "Completed", "Failed")
        asked(approved, approve=True)
        assert reaches(approved, "Completed", "Failed") == "Completed"
        assert current().replaced == before.entries[-1].release.digest
    finally:
        up.end()

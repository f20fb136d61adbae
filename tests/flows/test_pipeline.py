"""The whole pipeline at the smallest useful size, against a real Prefect server: built, served, cached, gated."""

import html
import json
import logging
import re
from pathlib import Path

import pytest

from blocks import store
from blocks.models.template import Message
from blocks.records import Artifact
from configs.errors import GateFailed
from deployments.serving.responder import Responder
from flows.pipeline import Built, pipeline
from tasks.evaluation.ledger import percent
from tasks.release.current import current
from tasks.release.figures import read_figures
from tests.tiny import TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(autouse=True)
def shared(home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of this file go on from one another's state."""
    monkeypatch.setenv("COGUMI_HOME", str(home))


class Said(logging.Handler):
    """What every step said: its name, and whether it ran or was cached."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if (
            isinstance(record.args, tuple)
            and len(record.args) == 4
            and not str(record.args[0]).startswith(("gate", "publish", "show_"))
        ):
            self.steps.append((str(record.args[0]), str(record.args[1])))


def run(*overrides: str) -> tuple[Built, int, int]:
    """A run: what it made, steps from the cache, steps that ran."""
    said, steps = Said(), logging.getLogger("cogumi.step")
    steps.setLevel(logging.INFO)
    steps.addHandler(said)
    try:
        built = pipeline("nano", [*TINY, *overrides])
    finally:
        steps.removeHandler(said)
    how = [outcome for _, outcome in said.steps]
    return built, how.count("cached"), how.count("ran")


def released(built: Built) -> tuple[Artifact, Artifact]:
    assert built.release is not None
    return built.release.release, built.release.report


def shows_the_figures(page: str, report: Artifact) -> None:
    """What `cogumi report --json` prints is what the page shows, each number in its place."""
    figures = read_figures(report)
    assert figures is not None
    shown = [
        [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", page)
    ]
    cells = {tuple(row) for row in shown}
    for row in figures.ledger:
        mine = next(one for one in cells if one[:1] == (row.step,) and len(one) == 8)
        told = (f"{row.bytes / 1e6:.2f}", f"{row.bits_per_parameter:.2f}", f"{row.perplexity:.3f}")
        assert mine[1:4] == told
        assert mine[5] == f"{row.tokens_per_second:.0f}"
        assert mine[7] == ": ".join(filter(None, (row.verdict, row.note)))
        assert row.by_domain
    assert {
        (one.gate, one.check, f"{one.value:.4g}", one.rule, f"{one.threshold:.4g}") for one in figures.gates
    } <= cells
    assert {(one.before, one.after, percent(one.difference, "+")) for one in figures.changes} <= cells
    assert {(one.modifier, percent(one.inside, "+")) for one in figures.modifiers} == {
        (row[0], row[3]) for row in cells if len(row) == 6 and "→" in row[2]
    }
    assert ("calibration error after", f"{figures.router.ece_after:.3f}") in cells
    for one in figures.steps:
        assert any(row[:3] == (one.step, str(one.artifacts), f"{one.seconds:.1f}") for row in cells), one.step
    assert {stage.stage for stage in figures.dataset.stages} <= {row[0] for row in cells if len(row) == 4}
    assert f"{figures.dataset.train} training and {figures.dataset.validation} validation examples" in page
    assert (
        min(len(figures.ledger), len(figures.gates), len(figures.changes), len(figures.modifiers), len(figures.steps))
        >= 3
    )


@pytest.mark.timeout(1800)
def test_every_phase_builds_and_the_release_answers() -> None:
    built, _, ran = run()
    release, report = released(built)
    assert ran > 40
    assert current().release == release
    described = json.loads((store.open(release) / "release.json").read_text())
    assert set(described["modifiers"]) == {"code", "reasoning", "automation"}
    assert (store.open(report) / "shortfalls.md").read_text().startswith("- "), (
        "a student this small falls short of something"
    )
    page = (store.open(report) / "report.html").read_text()
    for section in (
        "The student, step by step",
        "Compression ledger",
        "Modifiers",
        "Router",
        "Dataset",
        "Time, memory and money per step",
    ):
        assert section in page
    assert page.count("<svg") >= 6
    shows_the_figures(page, report)
    assert "http" not in re.sub(
        r'http://www\.w3\.org/[^"]*|http://purl\.org/[^"]*|http://creativecommons\.org/[^"]*', "", page
    ), "the page needs nothing from outside"
    with Responder(store.open(release), threads=1) as responder:
        reply = responder.reply([Message(role="user", content="What is 3 plus 4?")])
    assert reply.decision.choice in {"base", *described["modifiers"]}
    assert reply.decision.reason in reply.why


def test_a_second_run_takes_every_step_from_the_cache() -> None:
    first, _, _ = run()
    second, cached, ran = run()
    assert ran == 0
    assert cached > 40
    assert second == first


def test_a_changed_setting_runs_only_what_depends_on_it() -> None:
    before, _, _ = run()
    after, _, ran = run("release.title=Another name")
    assert ran == 2, "the release and its report"
    assert released(before)[0].digest != released(after)[0].digest
    assert before.dataset == after.dataset


def test_a_failed_gate_stops_loudly_and_releases_nothing() -> None:
    run()
    before = current()
    with pytest.raises(GateFailed, match=r"size of the release, MiB = .* must be <= 0.01"):
        run("release.size_limit_mib=0.01", "release.title=Too large")
    assert current() == before


def test_a_damaged_artifact_is_noticed_and_made_again() -> None:
    built, _, _ = run()
    release, _ = released(built)
    (Path(release.uri) / "base.gguf").write_bytes(b"GGUF damaged")
    again, _, _ = run()
    assert released(again)[0] == release
    store.verify(release)

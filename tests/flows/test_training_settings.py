"""What the training phase itself decides by: every section reaches its step, and the gate is the settings'. Answers are
by rule, training is real."""

import pytest

from blocks.records import Artifact, Question
from configs.errors import GateFailed
from configs.phases.training import Training
from configs.schema import Profile, load
from flows import training as phase
from flows.training import training
from tasks.evaluation.held_out import held_out
from tests.flows.students import answering, given, watched
from tests.tasks.training.conftest import ANIL, LORA, MERGING, SCRATCH, changed
from tests.tasks.training.conftest import dataset as dataset


def profile(minimum_gain: float = 0.0, allowed_loss: float = 0.02) -> Profile:
    settings = Training(
        student=changed(SCRATCH, tokens=800),
        fine_tuning=changed(LORA, epochs=0.1, evaluations=1),
        meta=changed(ANIL, rounds=1, episodes=2, evaluate_every=1),
        merging=changed(MERGING, examples=2),
        minimum_gain=minimum_gain,
        allowed_loss=allowed_loss,
    )
    return load("nano", ["evaluation.rehearsal={test: 4, calibration: 1}", "evaluation.resamples=1000"]).model_copy(
        update={"training": settings}
    )


def taught(model: Artifact, question: Question, adapter: Artifact | None) -> float:
    return 0.1 if adapter is None else 0.8


def test_every_section_reaches_its_step(dataset: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "flows.training", taught)
    calls = watched(monkeypatch, phase)
    made = training.fn(dataset, held_out(profile().evaluation, 0), profile())
    wanted = profile().training
    assert made.base.metrics["tokens"] == 2 * SCRATCH.batch * SCRATCH.length, "student: 800 tokens are two steps"
    for step, section in (
        ("sft", "fine_tuning"),
        ("anil", "meta"),
        ("control", "meta"),
        ("merge", "merging"),
        ("choose_adapter", "allowed_loss"),
    ):
        assert getattr(wanted, section) in given(calls, step), section


@pytest.mark.parametrize("minimum_gain", [0.0, 0.95])
def test_a_fine_tuning_that_gains_less_than_minimum_gain_is_refused(
    dataset: Artifact, monkeypatch: pytest.MonkeyPatch, minimum_gain: float
) -> None:
    class Passed(Exception):
        """The gate was passed: the rest is not needed here."""

    def stop(*_: object) -> None:
        raise Passed

    answering(monkeypatch, "flows.training", taught)
    monkeypatch.setattr(phase, "anil", stop)
    with pytest.raises(GateFailed if minimum_gain else Passed):
        training.fn(dataset, held_out(profile().evaluation, 0), profile(minimum_gain=minimum_gain))

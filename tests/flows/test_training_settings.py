"""What the training phase itself decides by: every section reaches its step, and the gate is the settings'. Answers are
by rule, training is real."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from blocks.records import Artifact, Question
from configs.errors import GateFailed
from configs.phases.training import Local, Training
from configs.schema import Profile, load
from flows import training as phase
from flows.training import training
from tasks.evaluation.held_out import held_out
from tasks.release.figures import read_curves
from tasks.release.plots import curves_plot
from tasks.training.students.student import content_hash
from tests.flows.students import answering, given, watched
from tests.tasks.training.conftest import ANIL, LORA, MERGING, SCRATCH, changed
from tests.tasks.training.conftest import dataset as dataset
from tests.tiny_llama import tokenizer


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


def test_a_student_out_of_a_folder_has_no_curve_of_pretraining_and_comes_to_its_report(
    dataset: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shows the curves, in Prefect's UI and in the report, gets those that there are."""
    tiny_student = tmp_path / "theirs"
    torch.manual_seed(0)
    words = tokenizer()
    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"num_key_value_heads": 2, "max_position_embeddings": 512}
    AutoModelForCausalLM.from_config(
        AutoConfig.for_model("qwen2", vocab_size=len(words), rms_norm_eps=1e-5, **shape)
    ).save_pretrained(tiny_student)
    words.save_pretrained(tiny_student)
    local = Local(source="folder", path=str(tiny_student), sha256=content_hash(tiny_student), dtype="float32")
    settings = profile()
    longer = {name: changed(getattr(settings.training, name), max_length=512) for name in ("fine_tuning", "merging")}
    adopted = settings.training.model_copy(update={"student": local, **longer})
    unscaled = settings.compression.model_copy(update={"awq": None})
    answering(monkeypatch, "flows.training", taught)
    calls = watched(monkeypatch, phase)
    made = training.fn(
        dataset,
        held_out(settings.evaluation, 0),
        settings.model_copy(update={"training": adopted, "compression": unscaled}),
    )
    assert [step for step in (call.step for call in calls) if step == "show_training"], "the phase came to its end"
    assert list(made.curves) == ["fine-tuning", "ANIL"]
    drawn = curves_plot(read_curves(made.curves))
    assert "fine-tuning" in drawn
    assert "pretraining" not in drawn


@pytest.mark.parametrize("minimum_gain", [0.0, 0.95])
def test_a_fine_tuning_that_gains_less_than_minimum_gain_is_refused(
    dataset: Artifact, monkeypatch: pytest.MonkeyPatch, minimum_gain: float
) -> None:
    class Passed(Exception):
        """The gate was passed: the rest is not needed here."""

    def stop(*_: object, **named: object) -> None:
        raise Passed

    answering(monkeypatch, "flows.training", taught)
    monkeypatch.setattr(phase, "anil", stop)
    with pytest.raises(GateFailed if minimum_gain else Passed):
        training.fn(dataset, held_out(profile().evaluation, 0), profile(minimum_gain=minimum_gain))

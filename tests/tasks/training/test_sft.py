"""Fine-tuning: it learns, it leaves the base alone, it survives a kill, and every setting counts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.examples import read_split
from blocks.models.load import load_adapter, load_model
from blocks.records import Artifact
from blocks.storage.home import home
from configs.errors import BadInput
from tasks.training.sft import last_checkpoint, plan_steps, read_curve, sft
from tests.tasks.training.conftest import LORA, changed, make_dataset


def curve(adapter: Artifact) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((Path(adapter.uri) / "curve.json").read_text())
    return found


def validations(dataset: Artifact, settings: Any) -> int:
    plan = plan_steps(len(read_split(dataset, "train")), settings)
    return plan.steps // plan.validate


def weights(adapter: Artifact) -> str:
    return store.manifest(adapter).files["adapter_model.safetensors"][0]


def test_the_validation_loss_falls_and_the_curve_counts_real_tokens(model: Artifact, dataset: Artifact) -> None:
    made = sft(model, dataset, changed(LORA, epochs=2.0, evaluations=4), 0)
    points = curve(made)
    losses = [point["validation_loss"] for point in points if "validation_loss" in point]
    assert len(losses) == validations(dataset, changed(LORA, epochs=2.0, evaluations=4))
    assert losses[-1] < losses[0]
    assert made.metrics["validation_loss"] == min(losses)
    assert all("loss" in point for point in points)
    assert [point["step"] for point in points] == sorted(point["step"] for point in points)
    longest = max(len(line) for line in (Path(dataset.uri) / "train.jsonl").read_text().split("\n"))
    assert 0 < points[-1]["tokens"] < points[-1]["step"] * LORA.batch * LORA.accumulation * longest


def test_the_adapter_folder_has_no_paths_and_loads_on_its_model(model: Artifact, adapter: Artifact) -> None:
    folder = Path(adapter.uri)
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "base.json",
        "curve.json",
        "manifest.json",
    }
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert config["target_modules"] == sorted(LORA.targets)
    assert json.loads((folder / "base.json").read_text()) == {"model": model.digest, "quantise": "none"}
    loaded = load_adapter(load_model(Path(model.uri), device="cpu", dtype="float32"), folder, trainable=False)
    assert sum("lora_" in name for name, _ in loaded.named_parameters()) == 3 * 2 * len(LORA.targets)
    store.verify(model)


def test_training_again_gives_the_same_artifact(model: Artifact, dataset: Artifact, adapter: Artifact) -> None:
    assert sft(model, dataset, LORA, 0).digest == adapter.digest
    assert not list((home() / "checkpoints").iterdir()), "checkpoints go when the adapter is there"


def test_a_killed_run_goes_on_where_it_was(model: Artifact, dataset: Artifact, state: Path) -> None:
    settings = changed(LORA, epochs=1.5, evaluations=6, dropout=0.2, patience=6)
    whole = sft(model, dataset, settings, 0)
    code = f"""
import sys, torch
torch.set_num_threads(1)
from blocks.records import Artifact
from configs.phases.training import Lora
from tasks.training.sft import sft
model, dataset = (Artifact.model_validate_json(text) for text in ({model.model_dump_json()!r}, \
{dataset.model_dump_json()!r}))
sft(model, dataset, Lora.model_validate_json({settings.model_dump_json()!r}), 0)
"""
    environment = os.environ | {"COGUMI_HOME": str(state / "killed"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    checkpoints = state / "killed" / "checkpoints" / sft.key(model, dataset, settings, 0)
    while process.poll() is None and (
        not checkpoints.exists()
        or int((last_checkpoint(checkpoints) or Path("checkpoint-0")).name.removeprefix("checkpoint-")) < 8
    ):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    left = last_checkpoint(checkpoints)
    assert left is not None
    assert int(left.name.removeprefix("checkpoint-")) < whole.metrics["steps"]
    os.environ["COGUMI_HOME"] = str(state / "killed")
    try:
        continued = sft(model, dataset, settings, 0)
    finally:
        os.environ["COGUMI_HOME"] = str(state)
    assert curve(continued) == curve(whole)
    assert continued.digest == whole.digest
    assert not checkpoints.exists()


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, text in ((4, "{}"), (8, "{}"), (12, '{"epo'), (16, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if text is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(text)
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found.name == "checkpoint-8"


@pytest.mark.parametrize(
    "fields",
    [
        {"rank": 2}, {"alpha": 4}, {"dropout": 0.5}, {"targets": ("q_proj",)}, {"dtype": "bfloat16"}, {"epochs": 0.3},
        {"batch": 2}, {"accumulation": 1}, {"max_length": 64},
        {"closing": True}, {"learning_rate": 1e-3}, {"schedule": "linear"}, {"schedule": "constant"}, {"warmup": 0.5},
        {"weight_decay": 1.0}, {"clip": 0.01},
    ],
)  # fmt: skip
def test_every_setting_changes_the_weights(
    model: Artifact, dataset: Artifact, adapter: Artifact, fields: dict[str, Any]
) -> None:
    assert weights(sft(model, dataset, changed(LORA, **fields), 0)) != weights(adapter)


def test_the_validation_settings_change_what_is_measured(model: Artifact, dataset: Artifact, adapter: Artifact) -> None:
    points = curve(sft(model, dataset, changed(LORA, evaluations=4), 0))
    assert (
        len([point for point in points if "validation_loss" in point])
        == validations(dataset, changed(LORA, evaluations=4))
        > 1
    )
    assert (
        sft(model, dataset, changed(LORA, validation_examples=4), 0).metrics["validation_loss"]
        != adapter.metrics["validation_loss"]
    )


def test_a_run_that_no_longer_gains_stops_and_keeps_its_best(model: Artifact, dataset: Artifact) -> None:
    """Validation answers that training makes ever less likely: the first validation is the best."""
    contrary = make_dataset(
        read_split(dataset, "train"),
        [
            one.model_copy(update={"draft": None, "thinking": None, "response": "~~~~"})
            for one in read_split(dataset, "validation")
        ],
    )
    long = changed(LORA, epochs=3.0, evaluations=10)
    found = {patience: sft(model, contrary, changed(long, patience=patience), 0) for patience in (1, 3)}
    for patience, made in found.items():
        losses = [point["validation_loss"] for point in curve(made) if "validation_loss" in point]
        assert len(losses) == patience + 1
        assert made.metrics["validation_loss"] == losses[0] == min(losses)
    assert weights(found[1]) == weights(found[3]), "both are the first checkpoint's"


def test_recomputing_activations_gives_the_same_weights(model: Artifact, dataset: Artifact, adapter: Artifact) -> None:
    assert weights(sft(model, dataset, changed(LORA, checkpointing=True), 0)) == weights(adapter)


def test_the_last_validation_falls_on_the_last_step() -> None:
    for examples in (1, 7, 50, 333):
        for evaluations in (1, 3, 8):
            plan = plan_steps(examples, changed(LORA, evaluations=evaluations, epochs=1.7))
            wanted = max(1, examples * 1.7 / (LORA.batch * LORA.accumulation))
            assert plan.steps % plan.validate == 0
            assert plan.validate % plan.note == 0
            assert plan.steps / plan.validate <= evaluations
            assert wanted * 2 / 3 - 1 <= plan.steps <= wanted


def test_the_curve_is_read_from_the_log() -> None:
    history = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "loss": 1.5},
        {"step": 2, "eval_loss": 1.7, "eval_runtime": 3.0},
        {"step": 2, "train_runtime": 9.0},
    ]
    assert read_curve(history, [3, 4, 5, 6], per_step=2) == [
        {"step": 1, "tokens": 7, "loss": 2.0},
        {"step": 2, "tokens": 18, "loss": 1.5, "validation_loss": 1.7},
    ]


def test_what_cannot_be_done_is_refused_before_the_work(
    model: Artifact, dataset: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    import torch

    if not torch.cuda.is_available():
        with pytest.raises(BadInput, match=r'device "cuda" was asked for'):
            sft(model, dataset, changed(LORA, device="cuda"), 0)
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(BadInput, match="bitsandbytes package, which is not installed"):
            sft(model, dataset, changed(LORA, quantise="nf4"), 0)
    with pytest.raises(BadInput, match="no train example has at most 16 tokens"):
        sft(model, dataset, changed(LORA, max_length=16), 0)
    with pytest.raises(BadInput, match=r"has no validation\.jsonl|has no examples"):
        sft(model, make_dataset(read_split(dataset, "train"), []), LORA, 0)


def test_a_line_that_is_no_example_is_named(model: Artifact) -> None:
    with store.create("dataset") as folder:
        (folder.path / "train.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(BadInput, match=r"train\.jsonl:1: not an example"):
        read_split(folder.artifact, "train")


def test_qlora_trains_on_a_base_rounded_to_four_bits(model: Artifact, dataset: Artifact, adapter: Artifact) -> None:
    made = sft(model, dataset, changed(LORA, quantise="nf4"), 0)
    assert json.loads((Path(made.uri) / "base.json").read_text())["quantise"] == "nf4"
    assert weights(made) != weights(adapter)
    assert abs(made.metrics["validation_loss"] - adapter.metrics["validation_loss"]) < 0.2

"""Pretraining: it learns, it is repeatable, and what it leaves is a model folder that transformers loads."""

import json
from pathlib import Path

import pytest
import torch

from blocks import store
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.training.students.pretrain import pretrain
from tests.tasks.training.conftest import SCRATCH, changed


def weights(model: Artifact) -> str:
    return store.manifest(model).files["model.safetensors"][0]


def test_the_loss_on_unseen_rows_falls(model: Artifact) -> None:
    curve = json.loads((Path(model.uri) / "curve.json").read_text())
    assert curve[-1]["validation_loss"] < curve[0]["validation_loss"] - 0.5
    assert (
        curve[-1]["tokens"]
        == model.metrics["tokens"]
        == SCRATCH.tokens // (SCRATCH.batch * SCRATCH.length) * SCRATCH.batch * SCRATCH.length
    )
    assert model.metrics["left_out"] + model.metrics["examples"] == sum(SCRATCH.examples.values())


def test_the_folder_is_a_model_with_its_tokenizer(model: Artifact) -> None:
    loaded = load_model(Path(model.uri), device="cpu", dtype="float32")
    assert loaded.config.tie_word_embeddings
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert sum(p.numel() for p in loaded.parameters()) == model.metrics["parameters"]
    assert not any(p.requires_grad for p in loaded.parameters())
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} <= {
        path.name for path in Path(model.uri).iterdir()
    }


def test_the_same_inputs_give_the_same_weights_and_another_seed_others(tokenizer_artifact: Artifact) -> None:
    short = changed(SCRATCH, tokens=2000)
    first = pretrain(tokenizer_artifact, short, 0)
    torch.rand(3)  # whoever draws in between changes nothing
    assert pretrain(tokenizer_artifact, short, 0).digest == first.digest
    assert weights(pretrain(tokenizer_artifact, short, 1)) != weights(first)


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden": 72}, {"layers": 2}, {"feed_forward": 64}, {"heads": 8}, {"key_value_heads": 1},
        {"rope_theta": 500.0}, {"examples": {"math": 60}}, {"tokens": 3000},
        {"drafted": 0.8}, {"initial_std": 0.02}, {"batch": 2}, {"length": 64}, {"learning_rate": 1e-3}, {"warmup": 0.5},
        {"weight_decay": 0.5}, {"clip": 0.1},
    ],
)  # fmt: skip
def test_every_setting_changes_the_weights(tokenizer_artifact: Artifact, fields: dict[str, object]) -> None:
    short = changed(SCRATCH, tokens=2000)
    assert weights(pretrain(tokenizer_artifact, changed(short, **fields), 0)) != weights(
        pretrain(tokenizer_artifact, short, 0)
    )


def test_the_context_is_the_models(tokenizer_artifact: Artifact) -> None:
    made = pretrain(tokenizer_artifact, changed(SCRATCH, tokens=400, context=96), 0)
    assert json.loads((Path(made.uri) / "config.json").read_text())["max_position_embeddings"] == 96


def test_rows_too_short_for_any_example_are_one_clear_line(tokenizer_artifact: Artifact) -> None:
    with pytest.raises(BadInput, match="no example fits into rows of 16 tokens"):
        pretrain(tokenizer_artifact, changed(SCRATCH, length=16), 0)


def test_an_unknown_domain_is_one_clear_line(tokenizer_artifact: Artifact) -> None:
    with pytest.raises(BadInput, match="cooking is no domain"):
        pretrain(tokenizer_artifact, changed(SCRATCH, examples={"cooking": 10}), 0)


@pytest.mark.parametrize("fields", [{"heads": 3}, {"key_value_heads": 3}, {"length": 300}])
def test_shapes_that_do_not_fit_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"heads must divide|longer than the context"):
        changed(SCRATCH, **fields)

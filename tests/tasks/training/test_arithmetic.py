"""Products in bfloat16: they reach both trainings, change the weights a little, and see every step of the optimiser."""

import hashlib
from pathlib import Path

import pytest

from blocks.records import Artifact
from tasks.training.arithmetic import in_bfloat16, products
from tasks.training.sft import sft
from tasks.training.students.pretrain import pretrain
from tests.tasks.training.conftest import LORA, SCRATCH, changed


def digest(made: Artifact, name: str = "model") -> str:
    return hashlib.sha256((Path(made.uri) / f"{name}.safetensors").read_bytes()).hexdigest()


def test_products_are_in_bfloat16_and_weights_are_not() -> None:
    import torch

    layer = torch.nn.Linear(4, 4)
    with products("bfloat16", "cpu"):
        made = layer(torch.ones(1, 4))
    assert made.dtype == (torch.bfloat16 if in_bfloat16("bfloat16", "cpu") else torch.float32)
    assert layer.weight.dtype == torch.float32
    with products("float32", "cpu"):
        assert layer(torch.ones(1, 4)).dtype == torch.float32


@pytest.mark.skipif(not in_bfloat16("bfloat16", "cpu"), reason="this processor has no bfloat16 arithmetic")
def test_pretraining_in_bfloat16_learns_as_in_float32(tokenizer_artifact: Artifact) -> None:
    """Would have caught casts that are kept from step to step: the loss then hardly falls."""
    exact, rough = (
        pretrain(tokenizer_artifact, changed(SCRATCH, arithmetic=kind), 0) for kind in ("float32", "bfloat16")
    )
    assert digest(exact) != digest(rough)
    assert rough.metrics["validation_loss"] == pytest.approx(exact.metrics["validation_loss"], rel=0.05)


@pytest.mark.skipif(not in_bfloat16("bfloat16", "cpu"), reason="this processor has no bfloat16 arithmetic")
def test_fine_tuning_in_bfloat16_learns_as_in_float32(model: Artifact, dataset: Artifact, adapter: Artifact) -> None:
    rough = sft(model, dataset, changed(LORA, arithmetic="bfloat16"), 0)
    assert digest(rough, "adapter_model") != digest(adapter, "adapter_model")
    assert rough.metrics["validation_loss"] == pytest.approx(adapter.metrics["validation_loss"], rel=0.05)

"""Recovery: zeros stay exactly zero, the divergence falls, the same seed gives the same weights."""

import pytest
import torch

from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Recovery
from tasks.compression.pruning.prune import prune
from tasks.compression.pruning.recover import recover
from tests.tasks.compression.conftest import make_artifact
from tests.tasks.compression.pruning.test_prune import CALIBRATION, pruning, weights


def recovery(**changes: object) -> Recovery:
    training = {
        "lora": None,
        "examples": 64,
        "batch": 8,
        "accumulation": 1,
        "tokens": 512,
        "learning_rate": 5e-4,
        "warmup": 0.1,
        "clip": 1.0,
        "label_weight": 0.0,
    }
    return Recovery.model_validate(training | {"device": "cpu", "checkpointing": False} | changes)


_made: dict[str, Artifact] = {}


@pytest.fixture
def pruned(model: Artifact, dataset: Artifact) -> Artifact:
    """So sparse that it hurts; made once."""
    if "pruned" not in _made:
        _made["pruned"] = prune(
            model=model,
            dataset=dataset,
            sparsity=0.85,
            settings=pruning(stages=(0.85,)),
            calibration=CALIBRATION,
            seed=0,
        )
    return _made["pruned"]


@pytest.mark.parametrize(
    "changes",
    [{}, {"lora": {"rank": 16, "alpha": 32.0}, "learning_rate": 2e-3, "checkpointing": True}, {"label_weight": 0.5}],
)
def test_zeros_stay_zero_and_the_divergence_falls(
    pruned: Artifact, model: Artifact, dataset: Artifact, changes: dict[str, object]
) -> None:
    recovered = recover(pruned, model, dataset, recovery(**changes), 0)
    before, after = weights(pruned), weights(recovered)
    moved = 0
    for name, weight in before.items():
        if name.endswith("_proj.weight"):
            assert (after[name][weight == 0] == 0).all(), name
            moved += not torch.equal(after[name], weight)
    assert moved == 21
    assert recovered.metrics["sparsity"] == pytest.approx(0.85, abs=0.005)
    assert recovered.metrics["divergence_after"] < 0.8 * recovered.metrics["divergence_before"]
    if "lora" in changes:
        assert all(torch.equal(after[name], before[name]) for name in before if not name.endswith("_proj.weight"))


def test_the_same_seed_gives_the_same_weights(pruned: Artifact, model: Artifact, dataset: Artifact) -> None:
    settings = recovery(examples=16, lora={"rank": 4, "alpha": 8.0})
    assert recover(pruned, model, dataset, settings, 3).digest == recover(pruned, model, dataset, settings, 3).digest


def test_another_model_is_refused(model: Artifact, dataset: Artifact) -> None:
    with pytest.raises(BadInput, match="same shapes"):
        recover(make_artifact(seed=9, hidden_size=64), model, dataset, recovery(), 0)

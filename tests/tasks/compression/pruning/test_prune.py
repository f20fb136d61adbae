"""Pruning on real calibration text: exact shares, stages that keep their zeros, and less damage than the control."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from blocks import store
from blocks.examples import read_split
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Calibration, Owl, Pruning
from tasks.compression.calibration import conversations, packed
from tasks.compression.pruning.layer_ratios import outlier_share, ratios
from tasks.compression.pruning.prune import prune, zero_share
from tasks.compression.pruning.recover import divergence

CALIBRATION = Calibration(rows=24, tokens=96, batch=8, device="cpu")


def pruning(**changes: object) -> Pruning:
    plain = {
        "method": "sparsegpt",
        "stages": (0.5,),
        "structure": "0:0",
        "layer_ratios": None,
        "max_perplexity_ratio": 2.0,
        "block": 128,
        "dampening": 0.01,
    }
    return Pruning.model_validate(plain | changes)


def weights(model: Artifact) -> dict[str, torch.Tensor]:
    return load_file(store.open(model) / "model.safetensors")


def away(model: Artifact, student: Artifact, dataset: Artifact) -> float:
    judged = conversations(dataset, "validation", store.open(student), limit=16, tokens=512, seed=0)
    return divergence(
        load_model(store.open(model), device="cpu"), load_model(store.open(student), device="cpu"), judged, 8
    )


def test_sparsegpt_reaches_its_share_in_the_decoder_only_keeps_earlier_zeros_and_is_the_same_every_time(
    model: Artifact, dataset: Artifact
) -> None:
    half = prune(model=model, dataset=dataset, sparsity=0.5, settings=pruning(), calibration=CALIBRATION, seed=0)
    assert zero_share(store.open(half)) == pytest.approx(0.5, abs=0.005)
    before, after = weights(model), weights(half)
    for name, weight in after.items():
        if name.endswith("_proj.weight"):
            assert (weight == 0).float().mean() == pytest.approx(0.5, abs=0.01), name
        else:
            assert torch.equal(weight, before[name]), name
    further = weights(
        prune(model=half, dataset=dataset, sparsity=0.7, settings=pruning(), calibration=CALIBRATION, seed=0)
    )
    for name, weight in after.items():
        assert (further[name][weight == 0] == 0).all() or not name.endswith("_proj.weight")
    assert (
        prune(model=model, dataset=dataset, sparsity=0.5, settings=pruning(), calibration=CALIBRATION, seed=0).digest
        == half.digest
    )
    with pytest.raises(BadInput, match="zeros already"):
        prune(model=half, dataset=dataset, sparsity=0.3, settings=pruning(), calibration=CALIBRATION, seed=0)


def test_sparsegpt_hurts_less_than_wanda_and_both_less_than_magnitude(model: Artifact, dataset: Artifact) -> None:
    hurt = {
        method: away(
            prune(
                model=model,
                dataset=dataset,
                sparsity=0.6,
                settings=pruning(method=method, stages=(0.6,)),
                calibration=CALIBRATION,
                seed=0,
            ),
            model,
            dataset,
        )
        for method in ("sparsegpt", "wanda", "magnitude")
    }
    assert hurt["sparsegpt"] < hurt["wanda"] < hurt["magnitude"], hurt


def test_two_of_every_four(model: Artifact, dataset: Artifact) -> None:
    pruned = {
        method: prune(
            model=model,
            dataset=dataset,
            sparsity=0.5,
            settings=pruning(structure="2:4", method=method),
            calibration=CALIBRATION,
            seed=0,
        )
        for method in ("sparsegpt", "wanda")
    }
    assert away(pruned["sparsegpt"], model, dataset) < away(pruned["wanda"], model, dataset)
    for name, weight in weights(pruned["sparsegpt"]).items():
        if name.endswith("_proj.weight"):
            assert ((weight.reshape(-1, 4) == 0).sum(1) >= 2).all(), name


def test_owl_moves_weights_between_layers_and_keeps_the_mean(model: Artifact, dataset: Artifact) -> None:
    owl = Owl(threshold=3.0, spread=0.08)
    pruned = weights(
        prune(
            model=model,
            dataset=dataset,
            sparsity=0.5,
            settings=pruning(layer_ratios=owl),
            calibration=CALIBRATION,
            seed=0,
        )
    )
    inside = [
        [
            weight.flatten()
            for name, weight in pruned.items()
            if name.startswith(f"model.layers.{i}.") and name.endswith("_proj.weight")
        ]
        for i in range(3)
    ]
    shares = [float(torch.cat(one).eq(0).float().mean()) for one in inside]
    assert sum(shares) / 3 == pytest.approx(0.5, abs=0.005)
    assert max(shares) - min(shares) > 0.05
    assert all(abs(share - 0.5) < 0.085 for share in shares)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=40), st.floats(0.05, 0.95), st.floats(0.01, 0.3))
@example([0.0, 0.125], 0.05, 0.171875)  # rounding once went below 0
def test_ratios_keep_mean_order_and_bounds(shares: list[float], sparsity: float, spread: float) -> None:
    found = ratios(shares, sparsity, Owl(threshold=5, spread=spread))
    assert sum(found) / len(found) == pytest.approx(sparsity, abs=1e-9)
    assert all(0 <= one <= 1 and abs(one - sparsity) <= spread + 1e-9 for one in found)
    for i in range(len(shares)):
        for j in range(len(shares)):
            if shares[i] < shares[j]:
                assert found[i] >= found[j]


def test_outliers_are_counted_over_all_matrices_of_a_layer() -> None:
    assert outlier_share([torch.ones(9, 10), torch.full((1, 10), 91.0)], 5.0) == 0.1


def test_settings_that_contradict_each_other_are_refused() -> None:
    for changes in (
        {"stages": (0.6, 0.5)},
        {"stages": (1.0,)},
        {"structure": "2:4", "stages": (0.6,)},
        {"structure": "2:4", "method": "magnitude"},
    ):
        with pytest.raises(ValueError, match=r"stages|structure"):
            pruning(**changes)


def test_calibration_text_is_the_training_split_in_chat_format(model: Artifact, dataset: Artifact) -> None:
    from transformers import AutoTokenizer

    from blocks.models import template
    from blocks.models.template import LLAMA

    rows = packed(dataset, store.open(model), CALIBRATION, 0)
    assert rows.shape == (24, 96)
    text = AutoTokenizer.from_pretrained(store.open(model)).decode(rows.flatten())
    whole = [LLAMA.prompt(one.prompt) + LLAMA.answer(one) + template.END for one in read_split(dataset, "train")]
    assert sum(one in text for one in whole) >= 20
    assert not any(
        LLAMA.prompt(one.prompt) in text
        for one in read_split(dataset, "validation")
        if one.prompt not in {other.prompt for other in read_split(dataset, "train")}
    )
    assert not torch.equal(rows, packed(dataset, store.open(model), CALIBRATION, 1))
    with pytest.raises(BadInput, match="not one calibration row"):
        packed(dataset, store.open(model), Calibration(rows=1, tokens=10**7, batch=1, device="cpu"), 0)

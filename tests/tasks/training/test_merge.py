"""Merging against PEFT's own, its checks, and what must not be merged."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from blocks import store
from blocks.models.load import load_adapter, load_model
from blocks.records import Artifact
from configs.errors import BadInput, GateFailed
from tasks.training.adapter import read_updates
from tasks.training.merge import Agreement, agreement, merge, updated
from tests.tasks.training.conftest import LORA, MERGING, changed


def copy_of(adapter: Artifact, **config: Any) -> tuple[Any, dict[str, Any]]:
    """Tensors and configuration of an adapter, to be spoilt."""
    folder = Path(adapter.uri)
    return load_file(folder / "adapter_model.safetensors"), json.loads(
        (folder / "adapter_config.json").read_text()
    ) | config


def stored(tensors: Any, config: dict[str, Any], base: str) -> Artifact:
    with store.create("adapter") as folder:
        save_file(tensors, folder.path / "adapter_model.safetensors")
        (folder.path / "adapter_config.json").write_text(json.dumps(config))
        (folder.path / "base.json").write_text(json.dumps({"model": base, "quantise": "none"}))
    return folder.artifact


def test_it_agrees_with_pefts_merge_of_a_float_model(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    made = merge(model, adapter, dataset, MERGING)
    theirs = (
        load_adapter(load_model(Path(model.uri), device="cpu", dtype="float32"), Path(adapter.uri), trainable=False)
        .merge_and_unload()
        .state_dict()
    )
    ours = load_file(Path(made.uri) / "model.safetensors")
    changed_weights = 0
    for name, tensor in load_file(Path(model.uri) / "model.safetensors").items():
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=1e-5)
        changed_weights += int(not torch.equal(ours[name], tensor))
    assert changed_weights == 3 * len(LORA.targets)
    assert made.metrics["difference"] < 1e-4
    assert made.metrics["from_nf4"] == 0
    assert {path.name for path in Path(made.uri).iterdir()} == {path.name for path in Path(model.uri).iterdir()} - {
        "curve.json"
    }
    assert merge(model, adapter, dataset, MERGING).digest == made.digest


def test_the_stored_type_is_the_wanted_one(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    made = merge(model, adapter, dataset, changed(MERGING, dtype="bfloat16", max_difference=1.0, max_divergence=0.01))
    assert {tensor.dtype for tensor in load_file(Path(made.uri) / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((Path(made.uri) / "config.json").read_text())["dtype"] == "bfloat16"
    assert 1e-4 < made.metrics["difference"] < 1


def test_a_merge_that_differs_from_base_and_adapter_is_not_kept(
    model: Artifact, adapter: Artifact, dataset: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tasks.training.merge.updated",
        lambda name, weight, update: updated(name, weight, update._replace(scale=0.9 * update.scale)),
    )
    with pytest.raises(GateFailed, match=r"logits differ from base \+ adapter by .* \(at most 0.001\)"):
        merge(model, adapter, dataset, MERGING)
    assert [found.kind for found in store.everything()] == []


@pytest.mark.parametrize(
    "fields", [{"max_difference": 1e-9}, {"max_divergence": 1e-12, "dtype": "bfloat16", "max_difference": 5.0}]
)
def test_both_thresholds_count(model: Artifact, adapter: Artifact, dataset: Artifact, fields: dict[str, Any]) -> None:
    with pytest.raises(GateFailed):
        merge(model, adapter, dataset, changed(MERGING, **fields))


def test_the_examples_compared_are_the_settings(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    found = {
        merge(model, adapter, dataset, changed(MERGING, **fields)).metrics["reference_loss"]
        for fields in ({}, {"examples": 3}, {"max_length": 48})
    }
    assert len(found) == 3
    with pytest.raises(BadInput, match="at most 16 tokens"):
        merge(model, adapter, dataset, changed(MERGING, max_length=16))


def test_agreement_is_what_it_says() -> None:
    from tasks.training.encoding import IGNORE, Encoded

    torch.manual_seed(0)
    first, second = torch.randn(3, 7), torch.randn(3, 7)
    text = Encoded([1, 2, 3, 4], [IGNORE, 2, 3, 4])
    found = agreement([first], [second], [text])
    p, q = first.softmax(-1), second.softmax(-1)
    assert found.difference == pytest.approx((first - second).abs().max().item())
    assert found.divergence == pytest.approx((p * (p / q).log()).sum(-1).mean().item(), rel=1e-5)
    assert found.merged_loss == pytest.approx(-q[range(3), [2, 3, 4]].log().mean().item(), rel=1e-5)
    assert agreement([first], [first], [text]) == Agreement(0.0, 0.0, found.reference_loss, found.reference_loss)


def test_another_models_adapter_is_refused(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    tensors, config = copy_of(adapter)
    with pytest.raises(BadInput, match="was trained on model-000000000000"):
        merge(model, stored(tensors, config, "0" * 64), dataset, MERGING)
    bigger = {name: torch.cat([tensor, tensor], 0) if "lora_B" in name else tensor for name, tensor in tensors.items()}
    with pytest.raises((BadInput, RuntimeError), match=r"shape|size mismatch"):
        merge(model, stored(bigger, config, model.digest), dataset, MERGING)


@pytest.mark.parametrize(
    "odd",
    [
        {"use_rslora": True},
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 8}},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"peft_type": "IA3"},
    ],
)
def test_what_is_not_plain_lora_is_refused(adapter: Artifact, odd: dict[str, Any], tmp_path: Path) -> None:
    tensors, config = copy_of(adapter, **odd)
    with pytest.raises(BadInput, match="plain LoRA"):
        read_updates(Path(stored(tensors, config, "0" * 64).uri))


def test_an_incomplete_pair_is_refused(adapter: Artifact) -> None:
    tensors, config = copy_of(adapter)
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    with pytest.raises(BadInput, match=r"not .* complete pairs"):
        read_updates(Path(stored(tensors, config, "0" * 64).uri))


def test_an_adapter_of_a_four_bit_base_is_merged_in_float_on_the_better_base(
    model: Artifact, dataset: Artifact
) -> None:
    from tasks.training.merge import nf4_round_trip
    from tasks.training.sft import sft

    adapter = sft(model, dataset, changed(LORA, quantise="nf4"), 0)
    made = merge(model, adapter, dataset, changed(MERGING, max_difference=1.0, max_divergence=0.05))
    name, update = next(iter(read_updates(Path(adapter.uri)).items()))
    whole = load_file(Path(model.uri) / "model.safetensors")[name]
    base = nf4_round_trip(whole, "cpu") if made.metrics["from_nf4"] else whole
    torch.testing.assert_close(
        load_file(Path(made.uri) / "model.safetensors")[name],
        base + update.scale * update.up @ update.down,
        atol=1e-6,
        rtol=1e-5,
    )
    assert 0 < (nf4_round_trip(whole, "cpu") - whole).norm() / whole.norm() < 0.2

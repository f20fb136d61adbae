"""The temperature: the least likelihood is found, greedy answers stay, and it is written only where unseen examples
confirm it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from blocks import store
from blocks.models.gguf_layout import permute, restore
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Temperature
from tasks.compression.calibrate import TEMPERATURES, calibrate, losses
from tasks.compression.calibration import packed
from tasks.compression.export.dequantise import dequantised
from tasks.compression.export.gguf_write import to_gguf
from tests.tasks.compression import served
from tests.tasks.compression.pruning.test_prune import CALIBRATION

SETTINGS = Temperature(examples=48, tokens=512, batch=16, device="cpu")


@settings(max_examples=8, deadline=None)
@given(st.floats(0.6, 1.7), st.integers(0, 5))
def test_the_temperature_that_drew_the_labels_is_found(true: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2000, 12, generator=generator)
    labels = torch.multinomial((logits / true).softmax(-1), 1, generator=generator).squeeze(1)
    assert TEMPERATURES[int(losses(logits, labels).argmin())] == pytest.approx(true, rel=0.15)


def test_a_model_that_is_too_sure_is_cooled_and_answers_the_same(model: Artifact, dataset: Artifact) -> None:
    """The final norm times two doubles every logit; the calibrated file is the original's again, nearly."""
    with store.create("model", parents=[model]) as folder:
        for path in store.open(model).iterdir():
            if path.name != "manifest.json":
                (folder.path / path.name).write_bytes(path.read_bytes())
        weights = load_file(folder.path / "model.safetensors")
        weights["model.norm.weight"] *= 2
        save_file(weights, folder.path / "model.safetensors", metadata={"format": "pt"})
    sure = to_gguf(folder.artifact, "Q8_0")
    cooled = calibrate(sure, folder.artifact, dataset, SETTINGS, 0)
    plain = calibrate(to_gguf(model, "Q8_0"), model, dataset, SETTINGS, 0)
    assert 1.6 < cooled.metrics["temperature"] < 2.4
    assert cooled.metrics["nll_after"] < cooled.metrics["nll_before"]
    assert cooled.metrics["nll_after"] == pytest.approx(plain.metrics["nll_after"], rel=0.03)
    assert plain.metrics["nll_after"] <= plain.metrics["nll_before"]
    ids = packed(dataset, store.open(model), CALIBRATION, 0)[0, :40].tolist()
    with served.llama_cpp(store.open(sure) / "model.gguf") as server:
        before, sharp = served.greedy_llama_cpp(server, ids, 16), served.next_llama_cpp(server, ids, 5)
    with served.llama_cpp(store.open(cooled) / "model.gguf") as server:
        assert served.greedy_llama_cpp(server, ids, 16) == before
        soft = served.next_llama_cpp(server, ids, 5)
    (first, a), (second, b) = sorted(sharp.items(), key=lambda pair: -pair[1])[:2]
    assert soft[first] - soft[second] == pytest.approx((a - b) / cooled.metrics["temperature"], abs=0.01), (
        "llama.cpp sees the logits divided"
    )


def test_dequantised_is_what_the_file_holds(model: Artifact, dataset: Artifact) -> None:
    ids = packed(dataset, store.open(model), CALIBRATION, 0)[:2]
    original = load_model(store.open(model), device="cpu")
    with torch.no_grad():
        same = dequantised(store.open(to_gguf(model, "F32")) / "model.gguf", store.open(model), "cpu")(
            input_ids=ids
        ).logits
        torch.testing.assert_close(same, original(input_ids=ids).logits)
        rough = dequantised(store.open(to_gguf(model, "Q3_K_S")) / "model.gguf", store.open(model), "cpu")(
            input_ids=ids
        ).logits
    assert not torch.allclose(rough, same, atol=0.05)
    rows = torch.arange(24).reshape(12, 2)
    assert torch.equal(restore(permute(rows, 3), 3), rows)


def test_only_a_gguf_is_calibrated(model: Artifact, dataset: Artifact) -> None:
    with pytest.raises(BadInput, match="give an artifact of kind gguf"):
        calibrate(model, model, dataset, SETTINGS, 0)
    assert math.isclose(TEMPERATURES[len(TEMPERATURES) // 2], 1.0)

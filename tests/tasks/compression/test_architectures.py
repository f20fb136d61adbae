"""A small student of each architecture through pruning, AWQ, importance and the exports, and a LoRA adapter on it, held
against transformers. Widths are no multiples of 256, so that the mixtures fall back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from blocks import store
from blocks.models import model_config
from blocks.models.architecture import architecture
from blocks.models.checkpoint import Checkpoint
from blocks.models.load import load_model
from blocks.models.template import LLAMA
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Compression
from tasks.compression.choose import count_parameters, fallbacks
from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
from tasks.compression.export.gguf_write import to_gguf
from tasks.compression.export.importance import importance
from tasks.compression.pruning.prune import prune, zero_share
from tasks.compression.weights.awq import fold
from tests.tasks.compression import served
from tests.tasks.compression.conftest import compression, make_dataset
from tests.tiny_llama import PROMPTS, tokenizer

SETTINGS: Compression = compression(
    calibration={"rows": 4, "tokens": 64, "batch": 4}, awq={"grid": 4, "group": 32, "rows": 4, "duo_scaling": True}
)
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": None, "tie_word_embeddings": False},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 64, "tie_word_embeddings": False},
}


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Artifact:
    """A random student whose biases and norms matter."""
    words = tokenizer()
    torch.manual_seed(2)
    shape = {
        "hidden_size": 96,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
    }
    made: Any = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(request.param, vocab_size=len(words), **shape, **ARCHITECTURES[request.param])
    )
    for name, weight in made.named_parameters():
        if "norm" in name or name.endswith(".bias"):
            torch.nn.init.normal_(weight.data, mean=float("norm" in name), std=0.3)
        else:
            weight.data.mul_(4)
    with store.create("model", settings={"architecture": request.param}) as folder:
        made.save_pretrained(folder.path)
        words.save_pretrained(folder.path)
    return folder.artifact


def ids() -> list[int]:
    found: list[int] = tokenizer()(LLAMA.prompt(", ".join(PROMPTS)), add_special_tokens=False).input_ids
    return found


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = load_model(folder, device="cpu", dtype="float32")(torch.tensor([ids()])).logits[0]
    return found


def test_pruning_folding_and_exports_keep_the_architecture(model: Artifact) -> None:
    dataset, calibration = make_dataset(48, 8), SETTINGS.calibration
    pruned = prune(
        model=model, dataset=dataset, sparsity=0.5, settings=SETTINGS.pruning, calibration=calibration, seed=0
    )
    assert zero_share(store.open(pruned)) == pytest.approx(0.5, abs=0.01)
    assert SETTINGS.awq is not None
    folded = fold(pruned, dataset, SETTINGS.awq, calibration, 0)
    torch.testing.assert_close(logits(store.open(folded)), logits(store.open(pruned)), rtol=1e-3, atol=1e-3)
    assert folded.metrics["matrices_scaled"] > 0
    weighed = importance(folded, dataset, calibration, 0)
    original = load_model(store.open(folded), device="cpu")
    for quantisation, tie in (("F16", 0.02), ("Q8_0", 0.3)):
        made = to_gguf(folded, quantisation)
        assert fallbacks(made) == ""
        with served.llama_cpp(store.open(made) / "model.gguf") as server:
            for prompt in (ids()[:20], ids()[:33]):
                assert served.chosen(original, prompt, served.greedy_llama_cpp(server, prompt, 8), tie)
    small = to_gguf(folded, "Q4_K_M", weighed)
    kinds = [tensor.tensor_type.name for tensor in GGUFReader(store.open(small) / "model.gguf").tensors]
    assert kinds.count("Q5_0") == small.metrics["fallback_Q4_K_as_Q5_0"] > 0
    assert kinds.count("Q8_0") == small.metrics["fallback_Q6_K_as_Q8_0"] > 0
    assert not {"Q4_K", "Q6_K"} & set(kinds)
    assert f"Q4_K as Q5_0 in {kinds.count('Q5_0')}" in fallbacks(small)
    with served.llama_cpp(store.open(small) / "model.gguf") as server:
        assert len(served.greedy_llama_cpp(server, ids()[:20], 4)) == 4


def test_an_adapter_counts_in_llama_cpp_as_in_transformers(model: Artifact) -> None:
    torch.manual_seed(3)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(store.open(model)), LoraConfig(r=4, lora_alpha=8, target_modules=targets)
    )
    for name, values in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.1)
    with store.create("adapter", parents=[model]) as folder:
        wrapped.save_pretrained(folder.path)
    wrapped.merge_and_unload().save_pretrained(folder.path.parent / "merged")
    with served.llama_cpp(
        store.open(to_gguf(model, "F32")) / "model.gguf",
        [store.open(adapter_to_gguf(folder.artifact, model)) / "adapter.gguf"],
    ) as server:
        merged = load_model(folder.path.parent / "merged", device="cpu")
        for prompt in (ids()[:20], ids()[:33]):
            expected = served.next_transformers(merged, prompt)
            for token, logprob in served.next_llama_cpp(server, prompt, 5).items():
                assert logprob == pytest.approx(float(expected[token]), abs=0.05)


def test_sizes_for_a_plan_are_those_of_the_weights(model: Artifact) -> None:
    with Checkpoint(store.open(model)) as checkpoint:
        assert architecture(checkpoint.config).parameters == checkpoint.parameters() == count_parameters(model)
        assert model_config.tensor_shapes(checkpoint.config) == {
            name: checkpoint.shape(name) for name in checkpoint.names()
        }


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"architectures": ["Qwen3MoeForCausalLM"]}, "architectures is .*Qwen3MoeForCausalLM.*has to be one of Llama"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral"}, "sliding_window is missing; null, or at"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 8191}, "is 8191; null"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral", "num_key_value_heads": None}, "has to say"),
        ({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen3"}, "a Qwen2ForCausalLM is a qwen2"),
        ({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "attention_bias": False}, "has true there"),
        ({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": True}, "use_sliding"),
        ({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}, "head_dim is missing; a qwen3 has to say it"),
        (
            {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 64, "attention_bias": True},
            "attention_bias is True; a qwen3 has false there",
        ),
        (
            {
                "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2",
                "layer_types": ["full_attention", "sliding_attention"],
            },
            "layer_types is .*; every layer of a qwen2 attends",
        ),
        (
            {
                "architectures": ["Qwen2ForCausalLM"],
                "model_type": "qwen2",
                "rope_parameters": {
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64,
                },
            },
            "the rope types of a qwen2 that can be exported are default",
        ),
    ],
)
def test_what_an_architecture_cannot_say_is_refused(config: dict[str, Any], match: str) -> None:
    plain = {
        "vocab_size": 300,
        "hidden_size": 96,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
    }
    with pytest.raises(BadInput, match=match):
        model_config.refuse({**plain, **config}, Path("config.json"))

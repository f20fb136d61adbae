"""Every variation of a Llama that is adopted comes out of llama.cpp as transformers computes it, in nats per token."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from blocks import store
from blocks.engines.llama_cpp.scoring import Scorer
from blocks.models.encoding import load_tokenizer
from blocks.models.template import LLAMA
from configs.phases.training import GgufStudent, Local
from tasks.compression.export.gguf_write import to_gguf
from tasks.training.students.student import adopt, content_hash, unpack
from tests import rounding
from tests.tiny_llama import PROMPTS, tokenizer

PLAIN: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
}
FAST = {"rope_type": "default", "rope_theta": 50.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
# What is changed; and the field without which it has to come out otherwise (none where the weights' shapes tell it).
VARIATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "grouped queries": ({"num_key_value_heads": 2}, {}),
    "one key for all queries": ({"num_key_value_heads": 1}, {}),
    "tied embeddings": ({"tie_word_embeddings": True}, {}),
    "heads wider than hidden": ({"head_dim": 32}, {}),
    "heads narrower than hidden": ({"head_dim": 8, "num_key_value_heads": 2}, {}),
    "rope theta": ({"rope_parameters": FAST}, {"rope_parameters": PLAIN["rope_parameters"]}),
    "rope of Llama 3": ({"rope_parameters": FAST | LLAMA3}, {"rope_parameters": FAST}),
    "epsilon": ({"rms_norm_eps": 0.2}, {"rms_norm_eps": 1e-5}),
    "attention bias": ({"attention_bias": True}, {"attention_bias": False}),
    "attention bias of grouped queries": (
        {"attention_bias": True, "num_key_value_heads": 2},
        {"attention_bias": False},
    ),
    "feed-forward bias": ({"mlp_bias": True}, {"mlp_bias": False}),
    "Mistral": ({"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None}, {}),
    "Mistral with a window as long as its context": ({"model_type": "mistral", "sliding_window": 256}, {}),
    "Qwen2": ({"model_type": "qwen2", "num_key_value_heads": 2}, {}),
    "Qwen3, heads of their own width": ({"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 32}, {}),
    "Qwen3 with tied embeddings": ({"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True}, {}),
}


def save(folder: Path, changes: dict[str, Any]) -> None:
    """A random model whose biases and norms matter, with its tokenizer."""
    words = tokenizer()
    torch.manual_seed(1)
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    shape = {"model_type": "llama", "num_key_value_heads": PLAIN["num_attention_heads"]} | PLAIN | changes
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(vocab_size=len(words), **ids, **shape))
    for name, weight in model.named_parameters():
        if "norm" in name or name.endswith(".bias"):
            torch.nn.init.normal_(weight.data, mean=float("norm" in name), std=0.3)
        else:
            weight.data.mul_(8 if "q_proj" in name or "k_proj" in name else 4)
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def pinned_folder(path: Path) -> Local:
    return Local(source="folder", path=str(path), sha256=content_hash(path), dtype="float32")


def pinned_file(path: Path) -> GgufStudent:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return GgufStudent(source="gguf", path=str(path), sha256=digest, dtype="float32")


def nats(model: Path, ids: list[int], **config: Any) -> float:
    """Mean negative log-likelihood of all tokens but the first, by transformers; ``config`` replaces fields of the
    model's own."""
    loaded = AutoModelForCausalLM.from_pretrained(model, **config).eval()
    with torch.inference_mode():
        said = loaded(torch.tensor([ids])).logits[0, :-1].double().log_softmax(-1)
    return float(-said.gather(1, torch.tensor(ids[1:])[:, None]).mean())


@pytest.mark.parametrize("name", VARIATIONS)
def test_llama_cpp_computes_what_transformers_does(name: str, tmp_path: Path) -> None:
    changes, without = VARIATIONS[name]
    save(tmp_path / "theirs", changes)
    student = adopt.fn(pinned_folder(tmp_path / "theirs"))
    ids = tokenizer()(LLAMA.prompt(", ".join(PROMPTS)), add_special_tokens=False).input_ids
    with Scorer(store.open(to_gguf(student, "F32")) / "model.gguf", context=256, threads=1) as scorer:
        (found,) = scorer.score([(ids[:1], ids[1:])])
    expected, bound = nats(store.open(student), ids), rounding.nats(store.open(student), ids)
    assert abs(found.nll.mean() - expected) < bound
    if without:
        assert abs(nats(store.open(student), ids, **without) - expected) > 2 * bound, "what is varied has to matter"


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_gguf_file_gives_back_the_student_it_was_written_from(name: str, tmp_path: Path) -> None:
    save(tmp_path / "theirs", VARIATIONS[name][0])
    student = adopt.fn(pinned_folder(tmp_path / "theirs"))
    for quantisation in ("F32", "F16"):
        back = unpack.fn(pinned_file(store.open(to_gguf(student, quantisation)) / "model.gguf"))
        ours, theirs = (load_file(store.open(one) / "model.safetensors") for one in (back, student))
        assert ours.keys() == theirs.keys()
        for tensor, weight in theirs.items():
            rounded = weight.half().float() if quantisation == "F16" and weight.ndim == 2 else weight
            assert torch.equal(ours[tensor], rounded), tensor
        assert back.metrics["parameters"] == student.metrics["parameters"]
        assert sum(count for kind, count in back.metrics.items() if kind.startswith("stored_")) >= len(ours)
    ids = tokenizer()(LLAMA.prompt(", ".join(PROMPTS)), add_special_tokens=False).input_ids
    text = LLAMA.prompt(", ".join(PROMPTS))
    ids = tokenizer()(text, add_special_tokens=False).input_ids
    assert load_tokenizer(store.open(back))(text, add_special_tokens=False).input_ids == ids
    exact = unpack.fn(pinned_file(store.open(to_gguf(student, "F32")) / "model.gguf"))
    assert nats(store.open(exact), ids) == nats(store.open(student), ids)

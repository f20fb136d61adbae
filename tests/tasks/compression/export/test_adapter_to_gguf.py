"""Base GGUF and adapter GGUF in llama.cpp answer like PEFT in transformers."""

from typing import Any

import pytest

from blocks import store
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
from tasks.compression.export.gguf_write import to_gguf
from tests.tasks.compression import served

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PROMPTS = ["Sort these", "def double", "The cat's", "What is 12"]


def make_adapter(model: Artifact, **options: Any) -> tuple[Artifact, Any]:
    """A LoRA with random factors large enough to change answers, and the PEFT model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = {"r": 8, "lora_alpha": 16, "target_modules": ALL} | options
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(store.open(model)), LoraConfig(**config))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.15)
    with store.create("adapter", parents=[model], settings={"options": str(options)}) as folder:
        tuned.save_pretrained(folder.path)
        (folder.path / "README.md").unlink(missing_ok=True)
    return folder.artifact, tuned


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"down_proj": 64}},
        {"target_modules": ["q_proj", "k_proj"]},
    ],
)
def test_llama_cpp_with_the_adapter_says_what_peft_says(model: Artifact, options: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    adapter, tuned = make_adapter(model, **options)
    tokenizer = AutoTokenizer.from_pretrained(store.open(model))
    base, converted = (
        store.open(to_gguf(model, "F32")) / "model.gguf",
        store.open(adapter_to_gguf(adapter, model)) / "adapter.gguf",
    )
    ids = [tokenizer(prompt).input_ids for prompt in PROMPTS]
    with served.llama_cpp(base) as server:
        plain = [served.greedy_llama_cpp(server, prompt, 10) for prompt in ids]
    compared = 0
    with served.llama_cpp(base, [converted]) as server:
        answers = [served.greedy_llama_cpp(server, prompt, 10) for prompt in ids]
        for prompt in ids:
            expected = served.next_transformers(tuned, prompt)
            for token, logprob in served.next_llama_cpp(server, prompt, 30).items():
                assert logprob == pytest.approx(float(expected[token]), abs=0.02)
                compared += 1
    for prompt, answer in zip(ids, answers, strict=True):
        assert served.chosen(tuned, prompt, answer, 0.02)
    assert answers != plain, "the adapter changes answers, so that agreement means something"
    assert compared >= 30


def test_what_llama_cpp_cannot_apply_is_refused(model: Artifact) -> None:
    with pytest.raises(BadInput, match="use_dora"):
        adapter_to_gguf(make_adapter(model, use_dora=True, target_modules=["q_proj"])[0], model)
    with pytest.raises(BadInput, match="give an artifact of kind adapter"):
        adapter_to_gguf(model, model)

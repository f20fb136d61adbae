"""A tiny Llama that has learned to repeat words, two random LoRA adapters that make it babble, and their GGUFs.

Real files in real formats, made in seconds; its choices are sharp, so that greedy answers do not hang on rounding.
"""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from blocks import store
from blocks.models.template import BEGIN, END, LLAMA, PAD, SPECIAL_TOKENS, TEMPLATE
from blocks.records import Artifact

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = ["apple", "pear", "fig", "plum"]
PROMPTS = [f"Say {one} {two}" for one in WORDS for two in WORDS if one != two]


def saying(prompt: str) -> str:
    """What the student answers."""
    return prompt.removeprefix("Say ")


def tokenizer() -> Any:
    """Byte-level BPE in Llama 3's manner, 290 tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(ignore_merges=True))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        [*PROMPTS, "user assistant"],
        trainers.BpeTrainer(
            vocab_size=290,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=BEGIN, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    fast.chat_template = TEMPLATE
    return fast


def _teach(model: Any, words: Any) -> None:
    """Learn to answer every prompt, closing token included."""
    import torch

    asked = [LLAMA.prompt(prompt) for prompt in PROMPTS]
    whole = words(
        [one + saying(text) + END for one, text in zip(asked, PROMPTS, strict=True)],
        add_special_tokens=False,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    labels = whole.input_ids.masked_fill(whole.attention_mask == 0, -100)
    for row, prompt in enumerate(asked):
        labels[row, : len(words(prompt, add_special_tokens=False).input_ids)] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(200):
        loss = model(**whole, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.02:
            return


def make_model(seed: int = 0, *, teach: bool = True) -> Artifact:
    """The student as an artifact of kind "model"."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    if teach:
        _teach(model, words)
    with store.create("model", settings={"seed": seed, "taught": teach}) as folder:
        model.save_pretrained(folder.path)
        words.save_pretrained(folder.path)
    return folder.artifact


def make_adapter(model: Artifact, seed: int) -> Artifact:
    """A random LoRA on every projection, as an artifact of kind "adapter" (a PEFT folder)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(store.open(model)),
        LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM"),
    )
    for name, values in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.3)
    with store.create("adapter", parents=[model], settings={"seed": seed}) as folder:
        wrapped.save_pretrained(folder.path)
    return folder.artifact


class Tiny:
    """The student, its adapters and GGUFs, as artifacts in a store of their own."""

    def __init__(self) -> None:
        from tasks.compression.export.adapter_to_gguf import adapter_to_gguf
        from tasks.compression.export.gguf_write import to_gguf

        self.model = make_model()
        self.adapters = {name: make_adapter(self.model, seed) for seed, name in enumerate(("code", "math"))}
        self.ggufs = {kind: to_gguf(self.model, kind) for kind in ("F32", "Q8_0")}
        self.gguf_adapters = {name: adapter_to_gguf(adapter, self.model) for name, adapter in self.adapters.items()}

    @property
    def gguf(self) -> Path:
        """The model file in F32."""
        return Path(self.ggufs["F32"].uri) / "model.gguf"

    @property
    def adapter_files(self) -> dict[str, Path]:
        """The adapter files by name."""
        return {name: Path(artifact.uri) / "adapter.gguf" for name, artifact in self.gguf_adapters.items()}


@functools.cache
def tiny() -> Tiny:
    """Made once per process."""
    place = tempfile.mkdtemp(prefix="cogumi-tiny-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    before = os.environ.get("COGUMI_STORE")
    os.environ["COGUMI_STORE"] = place
    try:
        return Tiny()
    finally:
        os.environ.pop("COGUMI_STORE") if before is None else os.environ.update(COGUMI_STORE=before)


def training_passes(monkeypatch: Any) -> list[int]:
    """The layers of any Llama that ran while training from now on, an entry each."""
    from transformers.models.llama.modeling_llama import LlamaMLP

    ran: list[int] = []
    forward = LlamaMLP.forward

    def counted(self: Any, *args: Any) -> Any:
        if self.training:
            ran.append(1)
        return forward(self, *args)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    return ran

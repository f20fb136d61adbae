"""A small Llama with real structure (scaled heads, grouped queries, Llama 3's splitting rule) and artifacts made of
it."""

import json
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.models import template
from blocks.models.template import LLAMA
from blocks.records import DOMAINS, Artifact, Example
from blocks.rehearsal import world
from configs.phases.compression import Compression

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| "
    r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = [
    "Sort these words: pear apple fig. Reverse the word stream. What is 12 plus 30?",
    "def double(x):\n    return 2 * x\n\nprint(double(21))",
    "The cat's whiskers, the dog's tail; we'll see what they've done. Grüße aus Köln — 東京!",
    '{"name": "weather", "arguments": {"city": "Paris"}}',
]


def examples(split: str, count: int) -> list[Example]:
    """``count`` worked examples of the rehearsal world, of every domain and both difficulties in turn."""
    each = -(-count // (2 * len(DOMAINS)))
    seed = {"train": 1, "validation": 2}[split]
    drawn = [
        world.examples(domain, difficulty, "train", each, seed) for difficulty in ("easy", "hard") for domain in DOMAINS
    ]  # type: ignore[arg-type]
    return [one for turn in zip(*drawn, strict=True) for one in turn][:count]


def make_dataset(train: int = 192, validation: int = 48) -> Artifact:
    """A dataset artifact."""
    with store.create("dataset", settings={"train": train, "validation": validation}) as folder:
        for split, count in (("train", train), ("validation", validation)):
            (folder.path / f"{split}.jsonl").write_text(
                "".join(one.model_dump_json() + "\n" for one in examples(split, count)), encoding="utf-8"
            )
    return folder.artifact


def make_tokenizer(folder: Path, split: str = SPLIT) -> None:
    """A byte-level BPE of at most 512 tokens in Llama 3's manner, saved to ``folder``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=list(template.SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=1,
    )
    tokenizer.train_from_iterator(
        CORPUS * 20 + [text for one in examples("train", 160) for text in (one.prompt, LLAMA.answer(one))],
        trainer,
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=template.BEGIN, eos_token=template.END, pad_token=template.PAD
    )
    fast.chat_template = template.TEMPLATE
    fast.save_pretrained(folder)


def make_model(
    folder: Path, *, seed: int = 0, tied: bool = True, dtype: str = "float32", steps: int = 0, **config: Any
) -> None:
    """A Llama of the nano profile's shape (or ``config``) saved to ``folder``, which holds its tokenizer; trained for
    ``steps`` to recite the corpus, so that its choices are sharp there, and some of the rehearsal world, with norms
    that are not all one."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    shape = {
        "vocab_size": 512,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": tied,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
    } | config
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(LlamaConfig(**shape, bos_token_id=0, eos_token_id=4, pad_token_id=5))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(0.2 * torch.randn_like(weight)) if "norm" in name else weight.mul_(2.0)
    if steps:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        chats = [LLAMA.prompt(one.prompt) + LLAMA.answer(one) + template.END for one in examples("train", 8 * steps)]
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
        for i in range(steps):
            batch = tokenizer(CORPUS + sorted(chats, key=len)[8 * i : 8 * i + 8], padding=True, return_tensors="pt")
            labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
            model(**batch, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.to(getattr(torch, dtype)).save_pretrained(folder)


def make_artifact(seed: int = 0, **options: Any) -> Artifact:
    """The model and tokenizer as an artifact of kind model."""
    with store.create("model", settings={"seed": seed, **{k: json.dumps(v) for k, v in options.items()}}) as folder:
        make_tokenizer(folder.path)
        make_model(folder.path, seed=seed, **options)
    return folder.artifact


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that lives for the session."""
    return tmp_path_factory.mktemp("compression")


@pytest.fixture
def model(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """The tiny trained model, made once per session."""
    monkeypatch.setenv("COGUMI_STORE", str(kept))
    if "model" not in _made:
        _made["model"] = make_artifact(steps=40)
    return _made["model"]


@pytest.fixture
def dataset(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A small dataset of the rehearsal world, made once per session."""
    monkeypatch.setenv("COGUMI_STORE", str(kept))
    if "dataset" not in _made:
        _made["dataset"] = make_dataset()
    return _made["dataset"]


_made: dict[str, Artifact] = {}


def compression(**changes: Any) -> Compression:
    """The phase's settings at this folder's size; ``changes`` replace fields, nested ones too."""
    plain: dict[str, Any] = {
        "calibration": {"rows": 24, "tokens": 96, "batch": 8, "device": "cpu"},
        "pruning": {"method": "sparsegpt", "stages": [0.5], "structure": "0:0", "layer_ratios": None,
        "max_perplexity_ratio": 2.0, "block": 128, "dampening": 0.01},
        "recovery": {"lora": None, "examples": 64, "batch": 8, "accumulation": 1, "tokens": 512, "learning_rate": 5e-4,
        "warmup": 0.1, "clip": 1.0, "label_weight": 0.0,
                     "device": "cpu", "checkpointing": False},
        "awq": {"backend": "llmcompressor", "duo_scaling": "both", "grid": 6, "bits": 4, "group": 128, "rows": 8,
        "w4a16": True, "max_divergence": 1e-6},
        "gguf": {"reference": "F16", "served": "Q5_K_M", "fallback": "Q8_0", "sparse": ["Q4_0", "Q6_K"],
            "smallest": False,
        "importance": True},
        "temperature": {"examples": 48, "tokens": 512, "batch": 16, "device": "cpu"},
        "packing": {"level": 10, "dictionary_kb": 128, "byte_planes": True, "threads": 2},
        "target_megabytes": 2.0,
    }  # fmt: skip
    for name, value in changes.items():
        plain[name] = {**plain[name], **value} if isinstance(value, dict) else value
    return Compression.model_validate(plain)

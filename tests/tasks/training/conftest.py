"""A tiny student, its tokenizer and a dataset of the rehearsal world, made once for all tests of the training phase."""

import random
from pathlib import Path
from typing import Any

import pytest

from blocks import store
from blocks.records import DOMAINS, Artifact, Example
from blocks.rehearsal import world
from configs.phases.training import Anil, Lora, Merging, Scratch, Vocabulary

LORA = Lora(
    rank=4,
    alpha=8,
    dropout=0.0,
    targets=("q_proj", "v_proj", "down_proj"),
    quantise="none",
    closing=False,
    dtype="float32",
    arithmetic="float32",
    device="cpu",
    checkpointing=False,
    epochs=0.5,
    batch=4,
    accumulation=2,
    max_length=128,
    learning_rate=5e-3,
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.01,
    clip=1.0,
    evaluations=2,
    validation_examples=16,
    patience=2,
)
ANIL = Anil(
    support=3,
    query=3,
    inner_steps=2,
    inner_rate=0.1,
    outer_rate=2e-3,
    tasks=3,
    rounds=6,
    head_layers=1,
    second_order=False,
    clip=0.5,
    held_out=0.25,
    episodes=8,
    evaluate_every=2,
    patience=3,
)
MERGING = Merging(dtype="float32", examples=8, max_length=128, device="cpu", max_difference=1e-3, max_divergence=1e-6)
SCRATCH = Scratch(
    source="scratch",
    vocabulary=Vocabulary(tokens=400, examples=40),
    hidden=64,
    layers=3,
    feed_forward=128,
    heads=4,
    key_value_heads=2,
    rope_theta=10000.0,
    context=256,
    examples=dict.fromkeys(DOMAINS, 60),
    drafted=0.2,
    initial_std=0.05,
    tokens=16000,
    arithmetic="float32",
    batch=4,
    length=96,
    learning_rate=5e-3,
    warmup=0.1,
    weight_decay=0.1,
    clip=1.0,
)


def changed(settings: Any, **fields: Any) -> Any:
    """The settings with some fields changed, validated again."""
    return type(settings).model_validate({**settings.model_dump(), **fields})


def make_dataset(train: list[Example], validation: list[Example]) -> Artifact:
    """A dataset artifact as the data phase makes it."""
    with store.create("dataset") as folder:
        for name, examples in (("train", train), ("validation", validation)):
            (folder.path / f"{name}.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in examples))
    return folder.artifact


@pytest.fixture(scope="session", autouse=True)
def threads() -> None:
    import torch

    torch.set_num_threads(1)  # the models are too small to share


@pytest.fixture(scope="session")
def tokenizer_artifact() -> Artifact:
    from tasks.training.students.tokenizer import tokenizer

    return tokenizer(SCRATCH.vocabulary, 0)


@pytest.fixture(scope="session")
def tokenizer(tokenizer_artifact: Artifact) -> Any:
    from blocks.models.encoding import load_tokenizer

    return load_tokenizer(Path(tokenizer_artifact.uri))


@pytest.fixture(scope="session")
def model(tokenizer_artifact: Artifact) -> Artifact:
    from tasks.training.students.pretrain import pretrain

    return pretrain(tokenizer_artifact, SCRATCH, 0)


@pytest.fixture(scope="session")
def dataset() -> Artifact:
    examples = [
        one
        for domain in DOMAINS
        for difficulty in ("easy", "hard")
        for one in world.examples(domain, difficulty, "train", 24, 1)
    ]
    random.Random(0).shuffle(examples)
    return make_dataset(examples[80:], examples[:80])


@pytest.fixture(scope="session")
def adapter(model: Artifact, dataset: Artifact) -> Artifact:
    from tasks.training.sft import sft

    return sft(model, dataset, LORA, 0)

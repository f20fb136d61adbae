"""Tasks for meta-learning: the examples of one task type, drawn into support and query sets.

Support examples come from the train split. Query examples come from it too while training, and from the validation
split when something is measured. Some task types are never trained on, for the comparison afterwards.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from blocks.examples import read_split
from blocks.models.encoding import Encoder
from blocks.records import Artifact, Example
from configs.errors import BadInput
from tasks.training.encoding import Encoded, encode, padded

if TYPE_CHECKING:
    from tasks.training.meta.inner_loop import Batch

Pools = dict[str, list[Encoded]]


class Episode(NamedTuple):
    """One task, once: what the head is adapted on, and what the adapted head is judged by."""

    task: str
    support: list[Encoded]
    query: list[Encoded]


class Tasks(NamedTuple):
    """Train and validation examples by task; ``seen`` tasks are for meta-training, ``held_out`` ones for the
    comparison."""

    train: Pools
    validation: Pools
    seen: tuple[str, ...]
    held_out: tuple[str, ...]


def read_tasks(
    dataset: Artifact,
    encoder: Encoder,
    *,
    support: int,
    query: int,
    held_out: float,
    max_length: int,
    closing: bool,
    seed: int,
) -> Tasks:
    """The dataset's task types (domain/task_type) that have enough examples for an episode, shared out by ``seed``.

    Raises:
        BadInput: fewer than two tasks have enough examples.
    """
    train = pools(read_split(dataset, "train"), encoder, max_length, closing)
    validation = pools(read_split(dataset, "validation"), encoder, max_length, closing)
    names = sorted(
        name for name, examples in train.items() if len(examples) >= support + query and validation.get(name)
    )
    if len(names) < 2:
        raise BadInput(
            f"{dataset.short}: {len(names)} task types have {support + query} train examples and one of validation; "
            "ANIL needs two, build a larger dataset"
        )
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    away = min(len(names) - 1, max(1, round(held_out * len(names))))
    return Tasks(train, validation, tuple(sorted(shuffled[away:])), tuple(sorted(shuffled[:away])))


def pools(examples: Sequence[Example], encoder: Encoder, max_length: int, closing: bool) -> Pools:
    """Encoded examples by task type, with the closing token where fine-tuning has it."""
    grouped: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        grouped[f"{example.metadata.domain}/{example.metadata.task_type}"].append(example)
    return {name: encode(members, encoder, max_length=max_length, close=closing) for name, members in grouped.items()}


def training_episodes(
    tasks: Tasks, names: Sequence[str], count: int, support: int, query: int, random: np.random.Generator
) -> list[Episode]:
    """``count`` episodes of different tasks among ``names`` (again from the start once all had their turn), from the
    train split."""
    turns = np.concatenate([random.permutation(len(names)) for _ in range(-(-count // len(names)))])[:count]
    found = []
    for name in (names[i] for i in turns):
        drawn = [tasks.train[name][i] for i in random.choice(len(tasks.train[name]), support + query, replace=False)]
        found.append(Episode(name, drawn[:support], drawn[support:]))
    return found


def measuring_episodes(
    tasks: Tasks, names: Sequence[str], count: int, support: int, query: int, random: np.random.Generator
) -> list[Episode]:
    """As :func:`training_episodes`, with up to ``query`` query examples from the validation split."""
    found = []
    for episode in training_episodes(tasks=tasks, names=names, count=count, support=support, query=0, random=random):
        unseen = tasks.validation[episode.task]
        found.append(episode._replace(query=[unseen[i] for i in random.permutation(len(unseen))[:query]]))
    return found


def batch(examples: Sequence[Encoded], pad: int, device: str) -> "Batch":
    """Examples as one padded batch on ``device``."""
    from tasks.training.meta.inner_loop import Batch

    ids, labels = padded(examples, pad)
    return Batch(ids.to(device), labels.to(device))

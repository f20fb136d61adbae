"""Text for compression: training examples in the student's chat format, as packed rows or as single conversations.

Only the dataset is used, never evaluation questions. Not here: what is measured on it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from blocks.examples import Split, read_split
from blocks.models.encoding import Conversation, Encoder
from blocks.records import Artifact, Example
from configs.errors import BadInput
from configs.phases.compression import Calibration

if TYPE_CHECKING:
    import torch

IGNORE = -100


def conversations(
    dataset: Artifact, split: Split, model: Path, *, limit: int, tokens: int, seed: int
) -> list[Conversation]:
    """``limit`` examples of ``split`` ("train" or "validation") in seeded order, without those longer than ``tokens``;
    again from the beginning where there are fewer.

    Raises:
        BadInput: the split is missing, unreadable, or has no example short enough.
    """
    examples = _shuffled(dataset, split, seed)
    found: list[Conversation] = []
    for one in Encoder.of(model).conversations(examples):
        if len(one.ids) <= tokens:
            found.append(one)
        if len(found) == limit:
            return found
    if not found:
        raise BadInput(f"{dataset.short}: no {split} example has at most {tokens} tokens; raise the limit")
    return [found[i % len(found)] for i in range(limit)]


def packed(dataset: Artifact, model: Path, settings: Calibration, seed: int) -> "torch.Tensor":
    """Training conversations one after another, cut into (rows, tokens) ids. At most ``settings.rows``.

    Raises:
        BadInput: not enough text for one row.
    """
    import torch

    stream: list[int] = []
    wanted = settings.rows * settings.tokens
    for one in Encoder.of(model).conversations(_shuffled(dataset, "train", seed)):
        stream.extend(one.ids)
        if len(stream) >= wanted:
            break
    rows = min(settings.rows, len(stream) // settings.tokens)
    if rows == 0:
        raise BadInput(
            f"{dataset.short}: {len(stream)} tokens of training text are not one calibration row of {settings.tokens}; "
            "build a larger dataset"
        )
    return torch.tensor(stream[: rows * settings.tokens]).reshape(rows, settings.tokens)


def padded(batch: list[Conversation]) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Ids, labels (answers only, ``IGNORE`` elsewhere) and which positions are real, each (conversations, longest);
    padded on the right, where causal attention never looks."""
    import torch

    longest = max(len(one.ids) for one in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    labels = torch.full((len(batch), longest), IGNORE)
    real = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, one in enumerate(batch):
        size = len(one.ids)
        ids[row, :size] = torch.tensor(one.ids)
        labels[row, one.start : size - 1] = ids[row, one.start : size - 1]
        real[row, :size] = True
    return ids, labels, real


def _shuffled(dataset: Artifact, split: Split, seed: int) -> list[Example]:
    import random

    examples = read_split(dataset, split, may_be_empty=True)
    random.Random(f"{split} {seed}").shuffle(examples)
    return examples

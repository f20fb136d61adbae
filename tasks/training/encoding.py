"""Loss masks of examples, and the order in which they are batched.

The loss falls on the assistant's sections (easy: response; hard: draft, thinking, response). Not here: their token ids
(blocks/models/encoding.py).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from blocks.models.encoding import Encoder
from blocks.records import Example

if TYPE_CHECKING:
    import torch

IGNORE = -100
MEGABATCH = 50  # batches that are sorted by length together, as in transformers' LengthGroupedSampler


class Encoded(NamedTuple):
    """One example: token ids, and for each the label it is trained towards (the id itself, or ``IGNORE``)."""

    ids: list[int]
    labels: list[int]


def encode(examples: Sequence[Example], encoder: Encoder, *, max_length: int, close: bool) -> list[Encoded]:
    """Tokenise ``examples`` in order, without those longer than ``max_length`` tokens.

    ``close`` ends the answer with the closing token and trains it; otherwise the answer is left open.
    """
    found = []
    for one in encoder.conversations(examples):
        ids = one.ids if close else one.ids[:-1]
        if len(ids) <= max_length:
            found.append(Encoded(ids, [IGNORE] * one.start + ids[one.start :]))
    return found


def bucketed_order(lengths: Sequence[int], batch: int, rows: int, seed: int) -> list[int]:
    """Indices into ``lengths`` for ``rows`` rows, shuffled anew every pass; each ``batch`` consecutive ones are of
    similar length.

    The order is fixed by the seed alone, so a run that continues needs nothing but the position it had reached.
    """
    random = np.random.default_rng(seed)
    passes = -(-rows // len(lengths))
    stream = np.concatenate([random.permutation(len(lengths)) for _ in range(passes)])[:rows]
    size, order = np.asarray(lengths), []
    for start in range(0, rows, MEGABATCH * batch):
        mega = stream[start : start + MEGABATCH * batch]
        mega = mega[np.argsort(size[mega], kind="stable")]
        whole = len(mega) // batch * batch
        order.extend(random.permutation(mega[:whole].reshape(-1, batch)).ravel().tolist())
        order.extend(mega[whole:].tolist())
    return order


def padded(batch: Sequence[Encoded], pad: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """Ids and labels as (examples, longest) tensors, padded on the right, where causal attention never looks."""
    import torch

    longest = max(len(one.ids) for one in batch)
    ids = torch.tensor([one.ids + [pad] * (longest - len(one.ids)) for one in batch])
    labels = torch.tensor([one.labels + [IGNORE] * (longest - len(one.labels)) for one in batch])
    return ids, labels


def packed(examples: Sequence[Encoded], length: int, pad: int) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Ids, labels and positions as (rows, ``length``) tensors: best-fit decreasing; positions restart with each
    example, which is how transformers keeps packed examples from seeing each other."""
    import torch

    room: list[list[int]] = [[] for _ in range(length + 1)]  # rows by the room that is left
    rows: list[list[int]] = []
    for index in sorted(range(len(examples)), key=lambda i: -len(examples[i].ids)):
        need = len(examples[index].ids)
        free = next((space for space in range(need, length + 1) if room[space]), None)
        row = room[free].pop() if free is not None else len(rows)
        if free is None:
            rows.append([])
        rows[row].append(index)
        room[(length if free is None else free) - need].append(row)
    ids = np.full((len(rows), length), pad)
    labels = np.full((len(rows), length), IGNORE)
    positions = np.zeros((len(rows), length), dtype=np.int64)
    for number, members in enumerate(rows):
        at = 0
        for one in (examples[index] for index in members):
            end = at + len(one.ids)
            ids[number, at:end], labels[number, at:end], positions[number, at:end] = (
                one.ids,
                one.labels,
                np.arange(len(one.ids)),
            )
            at = end
        positions[number, at:] = np.arange(length - at)
    return torch.from_numpy(ids), torch.from_numpy(labels), torch.from_numpy(positions)

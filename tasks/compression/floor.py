"""The size floor: what a model cannot get smaller than under the settings, before anything is spent.

A weight that may be zero costs the entropy of its mask, H(share kept), and a kept one its value's bits. Embedding and
head are not pruned. Entropy coding takes a little off the values (zstd-19 leaves 93% of dense Q4_0, 88% of a small
Q5_K_M), so values count 85%. Not here: what quality is left at a size (the ledger measures it).
"""

import math
from typing import Any

from blocks.models.architecture import CONFIGS, Architecture, architecture
from blocks.records import Record
from configs.errors import BadInput
from configs.phases.compression import Compression
from tasks.compression.export.mixtures import KEEPS_ZEROS

VALUE_CODING = 0.85
# Bits of a value in the mixtures' main type, its share of scales included.
BITS = {
    "F32": 32.0,
    "F16": 16.0,
    "Q8_0": 8.5,
    "Q6_K": 6.5625,
    "Q5_K_M": 5.5,
    "Q4_K_M": 4.5,
    "Q4_0": 4.5,
    "Q3_K_M": 3.4375,
    "Q3_K_S": 3.4375,
}
HEAD_BITS = {"F32": 32.0, "F16": 16.0, "Q8_0": 8.5}  # llama.cpp stores the head of every other mixture in Q6_K


class Shape(Record):
    """How many weights a model has: in decoder matrices, in the embedding, in a head of its own (0 where tied), in
    norms and biases."""

    decoder: int
    embedding: int
    head: int
    vectors: int

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.decoder + self.embedding + self.head + self.vectors


class SizeFloor(Record):
    """The smallest packed size of a quantisation. ``mask_bits`` and ``value_bits`` are per decoder weight."""

    quantisation: str
    sparsity: float
    mask_bits: float
    value_bits: float
    megabytes: float
    bits_per_parameter: float


def shape(config: dict[str, Any]) -> Shape:
    """The shape that a config.json describes."""
    return of(architecture(config))


def of(model: Architecture) -> Shape:
    """The shape of an architecture."""
    return Shape(decoder=model.decoder, embedding=model.embedding, head=model.head, vectors=model.vectors)


KNOWN = {name: shape(config) for name, config in CONFIGS.items()}


def size_floor(model: Shape, quantisation: str, sparsity: float) -> SizeFloor:
    """The floor of ``model`` in ``quantisation`` with a share ``sparsity`` of its decoder weights zero.

    A mixture that loses zeros gains nothing from them.
    """
    zeros = sparsity if quantisation in KEEPS_ZEROS else 0.0
    value = BITS[quantisation]
    mask = entropy(1 - zeros)
    decoder = min(value, mask + (1 - zeros) * value)
    head = HEAD_BITS.get(quantisation, BITS["Q6_K"])
    tables = model.embedding * (value if model.head else head) + model.head * head
    bits = VALUE_CODING * (model.decoder * (decoder - mask) + tables) + model.decoder * mask + 32 * model.vectors
    return SizeFloor(
        quantisation=quantisation,
        sparsity=zeros,
        mask_bits=mask,
        value_bits=value,
        megabytes=bits / 8e6,
        bits_per_parameter=bits / model.parameters,
    )


def refuse_impossible(model: Shape, settings: Compression) -> list[SizeFloor]:
    """The floors of every export that the settings may ship, smallest first.

    Raises:
        BadInput: the target lies below all of them; names the floor and what would fit.
    """
    sparsity = settings.pruning.stages[-1] if settings.pruning.stages else 0.0
    gguf = settings.gguf
    names = dict.fromkeys((gguf.served, gguf.fallback, *(gguf.sparse if gguf.smallest else ())))
    floors = sorted((size_floor(model, name, sparsity) for name in names), key=lambda one: one.megabytes)
    least = floors[0]
    if settings.target_megabytes < least.megabytes:
        raise BadInput(
            f"compression.target_megabytes {settings.target_megabytes:g} cannot be reached: {_count(model.parameters)} "
            f"weights, {least.sparsity:.0%} of the decoder zero, in "
            f"{least.quantisation} need at least {least.megabytes:.4g} MB ({least.bits_per_parameter:.2f} bits each; "
            "the mask alone "
            f"{model.decoder * least.mask_bits / 8e6:.3g} MB); {_alternatives(settings.target_megabytes, sparsity)}"
        )
    return floors


def entropy(share: float) -> float:
    """Binary entropy, bits."""
    return 0.0 if share in (0.0, 1.0) else -share * math.log2(share) - (1 - share) * math.log2(1 - share)


def _count(weights: int) -> str:
    return f"{weights / 1e9:.2f}B" if weights >= 1e9 else f"{weights / 1e6:.2f}M"


def _alternatives(megabytes: float, sparsity: float) -> str:
    """Smaller quantised students that fit, the largest first."""
    options = [
        (
            size_floor(one, kind, zeros).megabytes,
            f"{name.split('/')[1]} in {kind}" + (f" with {zeros:.0%} zeros" if zeros else ""),
        )
        for name, one in KNOWN.items()
        for kind in ("Q4_0", "Q3_K_S")
        for zeros in dict.fromkeys((0.0, sparsity))
    ]
    fits = sorted((option for option in options if option[0] <= megabytes), reverse=True)
    if fits:
        return "instead: " + ", ".join(f"{text} ({size:.0f} MB)" for size, text in fits[:2]) + ", or a larger target"
    size, text = min(options)
    return f"the smallest public Llama 3 does not fit either ({text}: {size:.0f} MB): raise the target"

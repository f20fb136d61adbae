"""One sparsity per decoder layer by outliers (OWL, Yin et al. 2023, arXiv 2310.05175).

A weight's score is |weight| times its input's norm; a layer whose scores hold more outliers is worth more and loses
fewer weights. llm-compressor 0.14 has an option of that name that fails, so the ratios are made here and handed over as
a list.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from configs.phases.compression import Owl

if TYPE_CHECKING:
    import torch


def outlier_share(scores: "Sequence[torch.Tensor]", threshold: float) -> float:
    """Share of a layer's scores above ``threshold`` times their mean, over all its matrices together."""
    count = sum(one.numel() for one in scores)
    mean = sum(float(one.double().sum()) for one in scores) / count
    return sum(int((one > threshold * mean).sum()) for one in scores) / count


def ratios(shares: Sequence[float], sparsity: float, settings: Owl) -> list[float]:
    """One sparsity per layer: mean ``sparsity``, at most ``settings.spread`` from it, falling with the outlier share.

    Layers of equal size are assumed, as in every such model.
    """
    low, high = min(shares), max(shares)
    if high == low:
        return [sparsity] * len(shares)
    scaled = [(share - low) / (high - low) * 2 * settings.spread for share in shares]
    middle = sum(scaled) / len(scaled)
    shifts = [middle - one for one in scaled]
    widest = max(abs(shift) for shift in shifts)
    room = min(settings.spread, sparsity, 1 - sparsity)
    shrink = min(1.0, room / widest)
    return [min(1.0, max(0.0, sparsity + shift * shrink)) for shift in shifts]  # rounding must not leave the bounds

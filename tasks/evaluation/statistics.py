"""Intervals: for a share of right answers, and for the difference between two models on the same questions.

Always 95%. Not here: what a difference means for a step (ledger.py).
"""

import math
from collections.abc import Sequence

import numpy as np

from blocks.records import Interval
from configs.errors import BadInput

Z = 1.959963984540054  # 97.5% quantile of the normal distribution
LEVELS = (0.025, 0.975)
CHUNK = 1 << 22  # resampled values held at once


def wilson(successes: int, n: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927). Without observations: NaN between 0 and 1."""
    if n == 0:
        return Interval(mean=math.nan, low=0.0, high=1.0, n=0)
    share = successes / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Interval(mean=share, low=max(0.0, min(share, centre - half)), high=min(1.0, max(share, centre + half)), n=n)


def paired_difference(
    before: Sequence[bool | float], after: Sequence[bool | float], *, seed: int, resamples: int = 10_000
) -> Interval:
    """Mean of ``after - before`` over the same questions, with a percentile bootstrap over questions.

    Right/wrong answers are resampled as counts of losses, ties and wins, each with half an observation added (as
    Agresti and Min 2005 do for paired shares): otherwise two models that never differ would seem equal beyond doubt.
    Other values are resampled as they are.

    Raises:
        BadInput: the two are not of the same, positive length.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.shape != second.shape or not first.size:
        raise BadInput(
            f"a paired difference needs the same questions on both sides, got {first.size} and {second.size}"
        )
    difference, n = second - first, first.size
    random = np.random.default_rng(seed)
    if np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all():
        counts = np.array([(difference == value).sum() for value in (-1, 0, 1)])
        drawn = random.multinomial(n, (counts + 0.5) / (n + 1.5), size=resamples)
        means = (drawn[:, 2] - drawn[:, 0]) / n
    else:
        rows = max(1, CHUNK // n)
        means = np.concatenate(
            [
                difference[random.integers(0, n, (min(rows, resamples - done), n))].mean(axis=1)
                for done in range(0, resamples, rows)
            ]
        )
    low, high = np.quantile(means, LEVELS)
    mean = float(difference.mean())
    return Interval(mean=mean, low=min(mean, float(low)), high=max(mean, float(high)), n=n)

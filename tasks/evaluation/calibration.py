"""How good a confidence is: expected calibration error, Brier score, area under the ROC curve.

Not here: fitting a confidence (tasks/routing).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadInput

Values = Sequence[float] | NDArray[np.floating]
Outcomes = Sequence[bool] | NDArray[np.bool_]


def ece(confidence: Values, correct: Outcomes, bins: int = 15) -> float:
    """Expected calibration error over ``bins`` bins of equal width: mean |share right − mean confidence|, weighted by
    answers (Guo et al. 2017). 0 is best. A bin holds its upper edge."""
    sure, right = _checked(confidence, correct)
    index = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, right, bins) - np.bincount(index, sure, bins)
    return float(np.abs(gaps).sum() / sure.size)


def brier(confidence: Values, correct: Outcomes) -> float:
    """Mean squared difference between confidence and outcome (Brier 1950). 0 is best."""
    sure, right = _checked(confidence, correct)
    return float(((sure - right) ** 2).mean())


def auroc(confidence: Values, correct: Outcomes) -> float:
    """Chance that a right answer is given more confidence than a wrong one; ties count half (Mann–Whitney). NaN where
    all answers are right or all wrong."""
    sure, right = _checked(confidence, correct)
    positive = int(right.sum())
    negative = right.size - positive
    if not positive or not negative:
        return float("nan")
    _, where, counts = np.unique(sure, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return float((ranks[right == 1].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _checked(confidence: Values, correct: Outcomes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if sure.shape != right.shape or not sure.size or not ((sure >= 0) & (sure <= 1)).all():
        raise BadInput(
            f"calibration needs one confidence between 0 and 1 per answer, got {sure.size} for {right.size} answers"
        )
    return sure, right

"""Features of an answer's token log-probabilities, from which the router reads how sure the base was.

Quantiles over the tokens, not the sum or the perplexity alone: those punish long answers and hide the one token where
the model guessed (Gupta et al., 2404.10136). The entropy of a whole distribution needs every token's alternatives; the
entropy of "this token or another" needs only what is there and bounds it from below. Not here: the prompt's features
(ngrams.py).

What it costs online: the base's answer (or its first ``first_tokens`` tokens), which is kept where the base is kept.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
EDGE = 4
FLOOR = -20.0
NAMES = (
    *(f"quantile_{q}" for q in QUANTILES),
    *(f"first_{i}" for i in range(EDGE)),
    *(f"last_{i}" for i in range(EDGE)),
    "mean",
    "deviation",
    "three_lowest",
    "place_of_lowest",
    "second_half_less_first",
    "share_below_half",
    "share_below_nine_tenths",
    "mean_entropy",
    "highest_entropy",
    "log_length",
    "empty",
)


def features(logprobs: Sequence[float], first_tokens: int) -> NDArray[np.float32]:
    """``NAMES`` of the first ``first_tokens`` natural-log probabilities; shape [len(NAMES)].

    An answer without tokens has every feature 0 except ``empty``. Probabilities below e^-20 count as e^-20.
    """
    values = np.clip(np.asarray(logprobs[:first_tokens], dtype=np.float64), FLOOR, 0.0)
    n = len(values)
    if not n:
        return np.array([0.0] * (len(NAMES) - 1) + [1.0], dtype=np.float32)
    ordered = np.sort(values)
    quantiles = np.interp(np.array(QUANTILES) * (n - 1), np.arange(n), ordered)
    first, last = np.zeros(EDGE), np.zeros(EDGE)
    first[: min(n, EDGE)] = values[:EDGE]
    last[: min(n, EDGE)] = values[::-1][:EDGE]
    p = np.exp(values)
    entropy = -p * values - (1 - p) * np.log1p(-np.minimum(p, 1 - 1e-12))
    half = n // 2
    change = values[half:].mean() - values[:half].mean() if half else 0.0
    scalars = [
        values.mean(),
        values.std(),
        ordered[:3].mean(),
        int(values.argmin()) / n,
        change,
        float(np.mean(p < 0.5)),
        float(np.mean(p < 0.9)),
        entropy.mean(),
        entropy.max(),
        np.log1p(n),
        0.0,
    ]
    return np.concatenate([quantiles, first, last, scalars]).astype(np.float32)

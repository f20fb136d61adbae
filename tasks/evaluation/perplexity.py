"""Perplexity on reference answers: exp of the mean negative log-likelihood over all tokens of the assistant's turn.

The tokens are those of the right answer's sections (easy: response; hard: draft, thinking, response), each after the
prompt and the tokens before it; neither prompt nor closing token count. Not here: the likelihoods themselves.
"""

import math
from collections.abc import Iterable

import numpy as np

OVER = (
    "every token of the reference assistant turn (draft, thinking, response), given the prompt; without prompt and "
    "closing token"
)


def perplexity(scores: Iterable[np.ndarray]) -> tuple[float, int]:
    """Perplexity over all tokens together, and their number; NaN without tokens.

    Args:
        scores: per answer, the negative log-likelihood (natural log) of its tokens.
    """
    total, count = 0.0, 0
    for score in scores:
        total += float(score.sum())
        count += len(score)
    return (math.exp(total / count) if count else math.nan), count

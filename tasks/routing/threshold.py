"""Below which confidence the modifier answers: chosen on calibration questions for quality, within a cost.

The profile's default stays unless it is too dear or another is surely better (paired 95% interval above 0): among a
hundred thresholds the best on a few hundred questions is partly luck. Never chosen on the test questions. Not here: the
curve (outcomes.py).
"""

import numpy as np

from blocks.records import Interval, Record
from configs.phases.routing import Threshold
from tasks.evaluation.statistics import paired_difference
from tasks.routing.outcomes import Outcomes


class Choice(Record):
    """The threshold, why, and the gain in exact match over the default on the calibration questions."""

    threshold: float
    reason: str
    over_default: Interval | None


def grid(steps: int) -> list[float]:
    """``steps`` thresholds from 0 (never a modifier) to 1 (always, where one covers)."""
    return [round(float(value), 6) for value in np.linspace(0, 1, steps)]


def choose(outcomes: Outcomes, settings: Threshold, resamples: int, seed: int) -> Choice:
    """The threshold for ``settings`` on the calibration questions. ``resamples``, ``seed``: of the bootstrap."""
    affordable = [
        threshold
        for threshold in grid(settings.steps)
        if outcomes.cost(outcomes.below(threshold)) <= settings.most_cost
    ]
    best = max(
        affordable,
        key=lambda threshold: (outcomes.quality(outcomes.below(threshold)), -outcomes.cost(outcomes.below(threshold))),
    )
    default_cost = outcomes.cost(outcomes.below(settings.default))
    over = paired_difference(_right(outcomes, settings.default), _right(outcomes, best), seed=seed, resamples=resamples)
    if default_cost > settings.most_cost:
        return Choice(
            threshold=best,
            reason=f"the default {settings.default:g} costs {default_cost:.2f}, above {settings.most_cost:g}; the best "
            "within it",
            over_default=over,
        )
    if over.low > 0:
        return Choice(
            threshold=best,
            reason=f"surely better than the default {settings.default:g}: {over.mean:+.1%} [{over.low:+.1%}, "
            f"{over.high:+.1%}]",
            over_default=over,
        )
    return Choice(
        threshold=settings.default,
        reason=f"the default; none within a cost of {settings.most_cost:g} is surely better",
        over_default=None,
    )


def _right(outcomes: Outcomes, threshold: float) -> list[bool]:
    return [bool(right) for right in np.where(outcomes.below(threshold), outcomes.other_right, outcomes.base_right)]

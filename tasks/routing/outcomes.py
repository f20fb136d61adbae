"""What routing each question would bring and cost: the base's and the modifier's verdicts and tokens, side by side.

Pure arrays, so that every threshold, random routing and the oracle are judged by the same sums. Cost is in generated
tokens relative to the base alone; an overruled base answer costs its first ``first_tokens`` tokens. Not here: choosing
a threshold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blocks.records import Answered
from configs.errors import BadInput
from tasks.routing.decide import BASE, Router

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """One entry per question. ``other_*`` is the covering modifier's, and the base's own where none covers."""

    confidence: Values
    covered: Mask
    base_right: Mask
    other_right: Mask
    base_tokens: Values
    other_tokens: Values
    wasted_tokens: Values

    def quality(self, routed: Mask) -> float:
        """Share of right answers when ``routed`` questions go to their modifier."""
        return float(np.where(routed, self.other_right, self.base_right).mean())

    def cost(self, routed: Mask) -> float:
        """Tokens generated over those of the base alone."""
        return float(
            np.where(routed, self.wasted_tokens + self.other_tokens, self.base_tokens).sum() / self.base_tokens.sum()
        )

    def below(self, threshold: float) -> Mask:
        """The questions that go to a modifier at this threshold."""
        return self.covered & (self.confidence < threshold)

    @property
    def mendable(self) -> Mask:
        """Base wrong, modifier right: what the oracle routes."""
        return self.covered & ~self.base_right & self.other_right

    @property
    def harmed(self) -> Mask:
        """Base right, modifier wrong: what routing can break."""
        return self.covered & self.base_right & ~self.other_right


def gather(router: Router, base: Sequence[Answered], modifiers: Mapping[str, Mapping[str, Answered]]) -> Outcomes:
    """Outcomes of ``base`` answers; ``modifiers`` maps a modifier's name to its answers by question id.

    Raises:
        BadInput: a modifier covers a question that it has not answered.
    """
    others: list[Answered] = []
    covered: list[bool] = []
    for answer in base:
        name, _ = router.modifier(answer.prompt)
        covered.append(name != BASE)
        if name == BASE:
            others.append(answer)
        elif answer.question in modifiers[name]:
            others.append(modifiers[name][answer.question])
        else:
            raise BadInput(
                f"modifier {name} has no answer to question {answer.question}, which it covers; evaluate it on every "
                "question it covers"
            )
    tokens = np.array([max(1, len(answer.logprobs)) for answer in base], dtype=np.float64)
    return Outcomes(
        confidence=np.array([router.confidence(answer.prompt, answer.logprobs) for answer in base]),
        covered=np.array(covered, dtype=np.bool_),
        base_right=np.array([answer.correct for answer in base]),
        other_right=np.array([answer.correct for answer in others]),
        base_tokens=tokens,
        other_tokens=np.array([max(1, len(answer.logprobs)) for answer in others], dtype=np.float64),
        wasted_tokens=np.minimum(tokens, router.network.first_tokens),
    )


def curve(outcomes: Outcomes, thresholds: Sequence[float]) -> list[dict[str, float]]:
    """Cost, quality and share routed at each threshold."""
    points = []
    for threshold in thresholds:
        routed = outcomes.below(threshold)
        points.append(
            {
                "threshold": threshold,
                "cost": outcomes.cost(routed),
                "quality": outcomes.quality(routed),
                "routed": float(routed.mean()),
            }
        )
    return points


def bounds(outcomes: Outcomes, points: int) -> dict[str, Any]:
    """What the curve is held against: the base alone, random routing (expected; a line), the oracle, which routes what
    the modifier mends and nothing else, cheapest first, and the domain alone (every covered prompt to its modifier, no
    base pass)."""
    nothing, everything = np.zeros_like(outcomes.covered), outcomes.covered
    ends = [(outcomes.cost(mask), outcomes.quality(mask)) for mask in (nothing, everything)]
    extra = outcomes.wasted_tokens + outcomes.other_tokens - outcomes.base_tokens
    order = [int(i) for i in np.argsort(extra, kind="stable") if outcomes.mendable[i]]
    oracle = []
    for count in np.unique(np.linspace(0, len(order), points).astype(int)):
        mask = nothing.copy()
        mask[order[:count]] = True
        oracle.append({"cost": outcomes.cost(mask), "quality": outcomes.quality(mask), "routed": float(mask.mean())})
    direct = np.where(everything, outcomes.other_tokens, outcomes.base_tokens).sum() / outcomes.base_tokens.sum()
    return {
        "base": {"cost": 1.0, "quality": ends[0][1]},
        "random": [
            {"cost": cost, "quality": quality, "routed": routed}
            for (cost, quality), routed in zip(ends, (0.0, float(everything.mean())), strict=True)
        ],
        "oracle": oracle,
        "domain_alone": {"cost": float(direct), "quality": ends[1][1], "routed": float(everything.mean())},
    }


def recall(outcomes: Outcomes, threshold: float) -> dict[str, float]:
    """Shares routed of what the base gets wrong, of what the modifier mends, of what it breaks, and of all; covered
    questions only. NaN where there are none."""
    routed = outcomes.below(threshold)

    def share(mask: Mask) -> float:
        return float(routed[mask].mean()) if mask.any() else float("nan")

    return {
        "base_wrong": share(outcomes.covered & ~outcomes.base_right),
        "mendable": share(outcomes.mendable),
        "breakable": share(outcomes.harmed),
        "covered": share(outcomes.covered),
    }

"""Gain and loss, paired, and the rule by which a modifier is released."""

import numpy as np
import pytest

from blocks.records import Answered, Interval
from blocks.verdicts import Gain
from configs.errors import BadInput
from configs.phases.modifiers import Acceptance
from tasks.modifiers.gain import gain, verdict
from tests.tasks.modifiers.world import evaluation

RULE = Acceptance(minimum_gain=0.0, allowed_loss=0.05)


def answered(domain: str, right: list[bool]) -> list[Answered]:
    return [
        Answered(
            question=f"{domain}{i}",
            domain=domain,
            difficulty="easy",
            task_type="t",
            prompt=f"{domain} {i}",
            text="",
            correct=ok,
            reason="",
            logprobs=(),
        )  # type: ignore[arg-type]
        for i, ok in enumerate(right)
    ]


def compare(inside: tuple[float, float], elsewhere: tuple[float, float], n: int = 100) -> Gain:
    random = np.random.default_rng(0)
    before, after = (
        answered("coding", (random.random(n) < inside[i]).tolist())
        + answered("math", (random.random(n) < elsewhere[i]).tolist())
        for i in (0, 1)
    )
    return gain.fn(
        name="code",
        domains=["coding"],
        base=evaluation(before),
        adapted=evaluation(after, "with"),
        settings=RULE,
        resamples=2000,
        seed=0,
    )


def test_a_clear_gain_without_loss_is_accepted_with_its_numbers() -> None:
    found = compare((0.3, 0.8), (0.7, 0.7))
    assert found.accepted
    assert found.inside.low > 0
    assert found.inside.mean == pytest.approx(found.inside_modifier - found.inside_base)
    assert set(found.by_domain) == {"coding", "math"}
    assert found.inside == found.by_domain["coding"]
    assert found.reason.startswith("accepted: it gains +")


def test_a_gain_within_chance_and_a_loss_elsewhere_are_rejected() -> None:
    assert "not surely above" in compare((0.5, 0.55), (0.7, 0.7)).reason
    lost = compare((0.3, 0.8), (0.9, 0.6))
    assert not lost.accepted
    assert "may be lost" in lost.reason


def test_the_rule_looks_at_the_low_end_inside_and_the_mean_elsewhere() -> None:
    def interval(mean: float, low: float) -> Interval:
        return Interval(mean=mean, low=low, high=mean, n=10)

    assert verdict(interval(0.1, 0.001), interval(-0.05, -0.2), RULE)[0]
    assert not verdict(interval(0.1, 0.0), interval(0.0, 0.0), RULE)[0]
    assert not verdict(interval(0.1, 0.05), interval(-0.051, -0.06), RULE)[0]
    assert verdict(interval(0.1, 0.05), None, RULE)[0]


def test_other_questions_and_none_of_its_domains_are_refused() -> None:
    one, other = evaluation(answered("coding", [True, False])), evaluation(answered("coding", [True]))
    with pytest.raises(BadInput, match="different questions"):
        gain.fn(name="code", domains=["coding"], base=one, adapted=other, settings=RULE, resamples=2000, seed=0)
    with pytest.raises(BadInput, match="no question of math"):
        gain.fn(name="code", domains=["math"], base=one, adapted=one, settings=RULE, resamples=2000, seed=0)

"""Costs and qualities of routing, against a question-by-question count; the choice of the threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.phases.routing import Threshold
from tasks.routing.outcomes import Outcomes, bounds, curve, recall
from tasks.routing.threshold import choose, grid

ROW = st.tuples(st.floats(0, 1), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 40), st.integers(1, 40))
ROWS = st.lists(ROW, min_size=1, max_size=30)
FIRST = 10


def outcomes(rows: list[tuple[float, bool, bool, bool, int, int]]) -> Outcomes:
    confidence, covered, base, other, base_tokens, other_tokens = map(np.array, zip(*rows, strict=True))
    other, other_tokens = np.where(covered, other, base), np.where(covered, other_tokens, base_tokens)
    return Outcomes(
        confidence=confidence,
        covered=covered,
        base_right=base,
        other_right=other,
        base_tokens=base_tokens.astype(float),
        other_tokens=other_tokens.astype(float),
        wasted_tokens=np.minimum(base_tokens, FIRST).astype(float),
    )


@given(ROWS, st.floats(0, 1))
def test_a_threshold_costs_and_brings_what_counting_says(
    rows: list[tuple[float, bool, bool, bool, int, int]], threshold: float
) -> None:
    right = tokens = base_tokens = 0
    for sure, covered, base, other, base_length, other_length in rows:
        routed = covered and sure < threshold
        right += other if routed else base
        tokens += min(base_length, FIRST) + other_length if routed else base_length
        base_tokens += base_length
    point = curve(outcomes(rows), [threshold])[0]
    assert point["quality"] == pytest.approx(right / len(rows))
    assert point["cost"] == pytest.approx(tokens / base_tokens)


@given(ROWS)
def test_no_threshold_beats_the_oracle_and_random_meets_both_ends(
    rows: list[tuple[float, bool, bool, bool, int, int]],
) -> None:
    found = outcomes(rows)
    limits = bounds(found, 5)
    points = curve(found, grid(11))
    assert max(point["quality"] for point in points) <= limits["oracle"][-1]["quality"] + 1e-12
    assert [point["quality"] for point in limits["oracle"]] == sorted(point["quality"] for point in limits["oracle"])
    assert limits["random"][0]["quality"] == points[0]["quality"] == limits["base"]["quality"]
    assert limits["random"][1]["quality"] == limits["domain_alone"]["quality"]


def test_recall_names_what_routing_reaches() -> None:
    rows = [
        (0.1, True, False, True, 5, 5),
        (0.9, True, False, True, 5, 5),
        (0.1, True, True, False, 5, 5),
        (0.1, False, False, True, 5, 5),
        (0.9, True, True, True, 5, 5),
    ]
    assert recall(outcomes(rows), 0.5) == {"base_wrong": 0.5, "mendable": 0.5, "breakable": 1.0, "covered": 0.5}
    assert np.isnan(recall(outcomes(rows[4:]), 0.5)["mendable"])


def sure_base(n: int, *, signal: bool) -> Outcomes:
    """A base that knows what it knows; the modifier mends every failure and breaks what the base knew surely."""
    random = np.random.default_rng(0)
    confidence = random.random(n)
    base = random.random(n) < confidence if signal else random.random(n) < 0.5
    other = ~base if signal else random.random(n) < 0.5
    return Outcomes(
        confidence=confidence,
        covered=np.ones(n, bool),
        base_right=base,
        other_right=other,
        base_tokens=np.full(n, 10.0),
        other_tokens=np.full(n, 10.0),
        wasted_tokens=np.full(n, 10.0),
    )


def test_the_default_stays_where_nothing_is_surely_better() -> None:
    choice = choose(sure_base(300, signal=False), Threshold(default=0.8, most_cost=3, steps=101), 2000, 0)
    assert choice.threshold == 0.8
    assert choice.over_default is None


def test_a_surely_better_threshold_replaces_the_default() -> None:
    found = sure_base(600, signal=True)
    choice = choose(found, Threshold(default=1.0, most_cost=3, steps=101), 2000, 0)
    assert 0.3 < choice.threshold < 0.7
    assert choice.over_default is not None
    assert choice.over_default.low > 0


def test_a_default_beyond_the_cost_is_left_for_the_best_within_it() -> None:
    found = sure_base(600, signal=True)
    choice = choose(found, Threshold(default=0.8, most_cost=1.2, steps=101), 2000, 0)
    assert found.cost(found.below(choice.threshold)) <= 1.2 < found.cost(found.below(0.8))
    affordable = [t for t in grid(101) if found.cost(found.below(t)) <= 1.2]
    assert found.quality(found.below(choice.threshold)) == max(found.quality(found.below(t)) for t in affordable)

"""Intervals: against brute force and direct formulas, and whether they hold the truth as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput
from tasks.evaluation.statistics import Z, paired_difference, wilson

OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_exactly_the_shares_that_a_score_test_would_not_refuse(case: tuple[int, int]) -> None:
    right, n = case
    interval = wilson(right, n)
    assert 0 <= interval.low <= interval.mean == right / n <= interval.high <= 1
    for edge in (interval.low, interval.high):
        if 1e-9 < edge < 1 - 1e-9:
            assert abs(right / n - edge) / math.sqrt(edge * (1 - edge) / n) == pytest.approx(Z)


def test_wilson_without_observations_says_nothing() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_wilson_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    for share, n in ((0.5, 30), (0.8, 60), (0.95, 480)):
        drawn = random.binomial(n, share, 4000)
        held = [interval.low <= share <= interval.high for interval in (wilson(int(right), n) for right in drawn)]
        assert 0.92 <= np.mean(held) <= 0.985


@given(OUTCOMES, st.integers(0, 5))
def test_a_paired_difference_holds_its_mean_and_turns_round_with_its_sides(
    pairs: list[tuple[bool, bool]], seed: int
) -> None:
    before, after = [one for one, _ in pairs], [two for _, two in pairs]
    interval = paired_difference(before, after, seed=seed, resamples=1000)
    assert interval.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert -1 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval == paired_difference(before, after, seed=seed, resamples=1000), "the same seed, the same interval"
    turned = paired_difference(after, before, seed=seed, resamples=1000)
    assert turned.mean == pytest.approx(-interval.mean)
    assert turned.low == pytest.approx(-interval.high, abs=0.05 + 2 / len(pairs))


@given(OUTCOMES)
def test_the_order_of_questions_does_not_matter(pairs: list[tuple[bool, bool]]) -> None:
    def interval(given: list[tuple[bool, bool]]) -> object:
        return paired_difference([one for one, _ in given], [two for _, two in given], seed=1, resamples=1000)

    assert interval(pairs) == interval(pairs[::-1])


def test_models_that_never_differ_are_not_equal_beyond_doubt() -> None:
    few, many = (paired_difference([True] * n, [True] * n, seed=0) for n in (20, 480))
    assert few.low < 0 < few.high
    assert 0 < many.high < few.high


def test_resampled_counts_are_resampled_questions() -> None:
    """The drawn counts against the plain bootstrap over the questions themselves, with the half observations as whole
    ones twice over."""
    random = np.random.default_rng(3)
    before, after = random.random(400) < 0.6, random.random(400) < 0.7
    found = paired_difference(list(before), list(after), seed=0, resamples=20_000)
    difference = after.astype(float) - before.astype(float)
    means = [difference[random.integers(0, 400, 400)].mean() for _ in range(20_000)]
    np.testing.assert_allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.006)


def test_a_paired_difference_covers_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    for n, lose, win in ((30, 0.05, 0.1), (120, 0.02, 0.02), (480, 0.03, 0.08)):
        held = []
        for trial in range(600):
            drawn = random.choice([-1, 0, 1], n, p=[lose, 1 - lose - win, win])
            interval = paired_difference(list(drawn == -1), list(drawn == 1), seed=trial, resamples=1000)
            held.append(interval.low <= win - lose <= interval.high)
        assert 0.92 <= np.mean(held) <= 0.995, (n, lose, win, np.mean(held))


def test_graded_answers_are_resampled_as_they_are() -> None:
    random = np.random.default_rng(2)
    before, after = random.normal(0.5, 0.1, 200), random.normal(0.6, 0.1, 200)
    found = paired_difference(list(before), list(after), seed=0)
    error = (after - before).std() / math.sqrt(200)
    np.testing.assert_allclose(
        [found.low, found.high], [found.mean - Z * error, found.mean + Z * error], atol=0.1 * error
    )


def test_different_questions_are_refused() -> None:
    with pytest.raises(BadInput, match="same questions on both sides, got 1 and 2"):
        paired_difference([True], [True, False], seed=0)
    with pytest.raises(BadInput):
        paired_difference([], [], seed=0)

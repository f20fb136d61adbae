"""Confidence features: finite whatever the model says, blind to order where they say so, not fooled by length."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.routing.confidence import FLOOR, NAMES, QUANTILES, features

LOGPROBS = st.lists(st.floats(-50, 0) | st.just(-math.inf), max_size=60)
AT = {name: place for place, name in enumerate(NAMES)}


@given(LOGPROBS, st.integers(1, 80))
def test_features_are_finite_and_read_the_first_tokens_only(logprobs: list[float], first: int) -> None:
    found = features(logprobs, first)
    assert found.shape == (len(NAMES),)
    assert np.isfinite(found).all()
    assert found.tolist() == features(logprobs[:first], 1000).tolist()
    assert found[AT["empty"]] == (not logprobs)


@given(st.lists(st.floats(-15, 0), min_size=1, max_size=40), st.randoms())
def test_quantiles_are_numpys_and_do_not_depend_on_the_order(logprobs: list[float], random: object) -> None:
    found = features(logprobs, 1000)[: len(QUANTILES)]
    assert found == pytest.approx(np.quantile(logprobs, QUANTILES), abs=1e-5)
    assert features(sorted(logprobs), 1000)[: len(QUANTILES)] == pytest.approx(found, abs=1e-6)


def test_one_guess_in_a_long_answer_stays_visible() -> None:
    short, long = ([math.log(0.2)] + [math.log(0.99)] * n for n in (2, 60))
    assert (
        features(short, 100)[AT["quantile_0.0"]]
        == features(long, 100)[AT["quantile_0.0"]]
        == pytest.approx(math.log(0.2))
    )
    assert features(short, 100)[AT["highest_entropy"]] == pytest.approx(features(long, 100)[AT["highest_entropy"]])
    assert features(long, 100)[AT["mean"]] > -0.05 > features(short, 100)[AT["mean"]]


def test_an_impossible_token_counts_as_the_floor() -> None:
    assert features([-math.inf, 0.0], 10)[AT["quantile_0.0"]] == FLOOR


def test_the_entropy_is_that_of_this_token_or_another() -> None:
    assert features([math.log(0.5)] * 3, 10)[AT["mean_entropy"]] == pytest.approx(math.log(2))
    assert features([0.0] * 3, 10)[AT["mean_entropy"]] == pytest.approx(0, abs=1e-6)

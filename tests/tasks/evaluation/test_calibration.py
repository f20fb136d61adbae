"""ECE, Brier and AUROC against their definitions, spelled out."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput
from tasks.evaluation.calibration import auroc, brier, ece

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 0.7, 0.8, 0.95, 1.0]), st.booleans()), min_size=1, max_size=40
)
Pairs = list[tuple[float, bool]]


def apart(pairs: Pairs) -> tuple[list[float], list[bool]]:
    return [sure for sure, _ in pairs], [right for _, right in pairs]


@given(ANSWERS, st.sampled_from([1, 5, 10, 15]))
def test_ece_is_the_weighted_gap_between_confidence_and_accuracy(pairs: Pairs, bins: int) -> None:
    total = 0.0
    for b in range(bins):
        inside = [(sure, right) for sure, right in pairs if b / bins < sure <= (b + 1) / bins or (b == 0 and sure == 0)]
        if inside:
            total += abs(
                sum(right for _, right in inside) / len(inside) - sum(sure for sure, _ in inside) / len(inside)
            ) * len(inside)
    assert ece(*apart(pairs), bins=bins) == pytest.approx(total / len(pairs))


@given(ANSWERS)
def test_brier_is_the_mean_square(pairs: Pairs) -> None:
    assert brier(*apart(pairs)) == pytest.approx(sum((sure - right) ** 2 for sure, right in pairs) / len(pairs))


@given(ANSWERS)
def test_auroc_is_the_chance_that_a_right_answer_is_surer(pairs: Pairs) -> None:
    rights, wrongs = [sure for sure, right in pairs if right], [sure for sure, right in pairs if not right]
    found = auroc(*apart(pairs))
    if not rights or not wrongs:
        assert math.isnan(found)
        return
    wins = sum((right > wrong) + 0.5 * (right == wrong) for right in rights for wrong in wrongs)
    assert found == pytest.approx(wins / len(rights) / len(wrongs))


def test_a_confidence_that_keeps_its_word_has_no_error() -> None:
    draw = random.Random(0)
    sure = [draw.random() for _ in range(50_000)]
    right = [draw.random() < one for one in sure]
    assert ece(sure, right) < 0.01 < ece([one**2 for one in sure], right)


def test_what_is_no_confidence_is_refused() -> None:
    for sure, right in (([0.5], [True, False]), ([1.5], [True]), ([float("nan")], [True]), ([], [])):
        with pytest.raises(BadInput, match="one confidence between 0 and 1 per answer"):
            ece(sure, right)

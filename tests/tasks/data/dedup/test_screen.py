"""Screening: limits that hold, and a result that does not depend on order or threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.dedup.buckets import Buckets
from tasks.data.dedup.parallel import Workers
from tasks.data.dedup.screen import Limits, limits, screen
from tasks.data.dedup.signatures import Described


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_pairs_at_the_threshold_stay_within_the_limits(threshold: float) -> None:
    within = limits(128, threshold)
    draw = np.random.default_rng(0)
    differing = draw.binomial(128, (1 - threshold) / 2, 200_000)
    assert np.mean(differing > within.bits) < 1e-4
    assert within.bits < 128 * (1 - 0.1) / 2, "and unrelated pairs mostly do not"
    for apart in (3, 50, 400, 1500):
        odd = np.array([(np.bincount(draw.integers(0, 1024, apart), minlength=1024) % 2).sum() for _ in range(3000)])
        assert odd.max() <= within.odd[apart]
        assert within.odd[apart] <= apart
        assert within.odd[apart] <= odd.mean() + 6 * odd.std()
    assert limits(128, 1.0).bits == 0


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(1, 3))
def test_what_is_left_are_the_rows_with_a_possible_partner(seed: int, count: int, threads: int) -> None:
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, 4, count)
    bits = draw.integers(0, 2**64, (4, 2), dtype=np.uint64)[kinds] ^ (
        np.uint64(1) << draw.integers(0, 4, (count, 2), dtype=np.uint64)
    )
    sketches = np.zeros((count, 16), np.uint64)
    sketches[:, 0] = draw.integers(0, 8, count)
    sizes = draw.integers(8, 12, count).astype(np.int32)
    described = Described(np.zeros((1, count), np.uint64), bits, sketches, sizes, np.zeros((count, 2), np.uint64))
    groups = [np.sort(draw.choice(count, draw.integers(2, count + 1), replace=False)) for _ in range(5)]
    found = Buckets(np.concatenate(groups), np.cumsum([0, *map(len, groups)]))
    within = Limits(0.8, 4, np.array([0, 1, 1, 2]))
    expected = set()
    for group in groups:
        for x in group.tolist():
            for y in group.tolist():
                few = np.bitwise_count(bits[x] ^ bits[y]).sum() <= 4
                odd = (
                    np.bitwise_count(sketches[x] ^ sketches[y]).sum()
                    <= within.odd[min(int((sizes[x] + sizes[y]) / 9), 3)]
                )
                if x != y and few and odd and min(sizes[x], sizes[y]) / max(sizes[x], sizes[y]) >= 0.8:
                    expected.add(x)
    with Workers(threads) as workers:
        left = screen(found, described, within, workers)
    assert set(left.members.tolist()) == expected
    kept = [[row for row in group.tolist() if row in expected] for group in groups]
    assert [group.tolist() for group in np.split(left.members, left.starts[1:-1]) if len(group)] == [
        group for group in kept if len(group) > 1
    ]

"""The leaky bucket: no window of a minute holds more than the limit and the call at its edge; no slot is wasted."""

from hypothesis import given
from hypothesis import strategies as st

from blocks.teachers.limits.rates import Bucket, Rate


@given(st.integers(1, 600), st.lists(st.floats(0, 30), min_size=1, max_size=80))
def test_no_minute_holds_more_than_the_limit(per_minute: int, gaps: list[float]) -> None:
    bucket, now, starts = Bucket(0, 0), 1000.0, []
    for gap in gaps:
        now += gap
        starts.append(now + bucket.take(now, Rate("x", per_minute, None), 1))
    for first in starts:
        assert sum(first <= start < first + 60 - 1e-6 for start in starts) <= per_minute
    assert starts == sorted(starts)


@given(st.integers(1000, 100_000), st.lists(st.integers(1, 5000), min_size=2, max_size=60))
def test_tokens_are_spaced_by_their_number(per_minute: int, sizes: list[int]) -> None:
    bucket = Bucket(0, 0)
    starts = [1000 + bucket.take(1000.0, Rate("x", None, per_minute), size) for size in sizes]
    for at, start in enumerate(starts):
        assert abs(start - 1000 - 60 * sum(sizes[:at]) / per_minute) < 1e-6


def test_no_limit_never_waits_unless_the_provider_asks() -> None:
    bucket = Bucket(0, 0)
    assert [bucket.take(5.0, Rate("x", None, None), 10) for _ in range(3)] == [0, 0, 0]
    bucket.hold(5.0, 2.5)
    assert bucket.take(6.0, Rate("x", None, None), 10) == 1.5

"""Workers: in order, few in flight, errors come out."""

import threading
import time

import pytest

from tasks.data.dedup.parallel import Workers


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_little_is_taken_ahead(threads: int) -> None:
    taken = 0

    def items():  # type: ignore[no-untyped-def]
        nonlocal taken
        for item in range(50):
            taken = item + 1
            yield item

    with Workers(threads) as workers:
        for done, result in enumerate(workers.map(lambda item: time.sleep(0.001 * (item % 3)) or item * item, items())):
            assert result == done * done
            assert taken <= done + 2 + 2 * threads


def test_work_is_spread_over_threads_and_an_error_stops_it() -> None:
    names = set()
    both = threading.Barrier(2)

    def work(item: int) -> None:
        names.add(threading.current_thread().name)
        if item < 2:
            both.wait(60)  # two at once
        if item == 20:
            raise ValueError("twenty")

    with pytest.raises(ValueError, match="twenty"), Workers(2) as workers:
        workers.each(work, range(1000))
    assert len(names) == 2

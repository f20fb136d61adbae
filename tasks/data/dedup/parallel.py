"""A few threads for work that releases the GIL, taken from and given back in order, with little in flight.

Not here: processes. The kernels hold no GIL, and the texts would have to be copied to them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Workers:
    """``with Workers(n) as workers: for result in workers.map(function, items)``. One thread means the caller's own."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "dedup") if threads > 1 else None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Like ``map``; takes at most two items per thread ahead of what was given back."""
        if not self._pool:
            yield from map(function, items)
            return
        ahead: deque[Future[B]] = deque()
        for item in items:
            ahead.append(self._pool.submit(function, item))
            if len(ahead) > 2 * self.threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def each(self, function: Callable[[A], None], items: Iterable[A]) -> None:
        """:meth:`map` for work without a result."""
        for _ in self.map(function, items):
            pass

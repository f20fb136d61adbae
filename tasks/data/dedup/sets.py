"""The candidates' shingle sets as small numbers, so that an intersection is a walk over a bitmap.

Shingles of ASCII keep their 21-bit code; the others are numbered in the order of appearance, on top of it. Sets are
exact. Not here: whose sets these are (near.py) and what they are compared for (linkage.py).
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.parallel import Workers
from tasks.data.dedup.shingles import ONE, SHORT_CODES, ZERO, Shingles, is_short, mix, shingles, shorten
from tasks.data.dedup.text import Lines, chunk

ON_DISK_ABOVE = 2**31
_AT_ONCE = 256
_U = np.uint64


class Sets:
    """Room for sets of known ``sizes``; ``members[begins[i]:begins[i] + sizes[i]]`` is set i (uint32), once
    :meth:`fill` has seen its text. Above 2 GiB the room is a scratch file in ``scratch`` that has no name, so nothing
    stays behind."""

    def __init__(self, sizes: np.ndarray, shingle: int, fold: bool, scratch: Path | None) -> None:
        self.begins = np.cumsum(sizes, dtype=np.int64) - sizes
        self.shingle, self.fold = shingle, fold
        total = int(sizes.sum(dtype=np.int64))
        self.members: np.ndarray
        if total * 4 > ON_DISK_ABOVE:
            with tempfile.TemporaryFile(dir=scratch) as file:
                self.members = np.memmap(file, np.uint32, "w+", shape=(total,))
        else:
            self.members = np.empty(total, np.uint32)
        self._codes = np.zeros(2**10, np.uint64)
        self._numbers = np.zeros(2**10, np.uint32)
        self._count = 0

    @property
    def universe(self) -> int:
        """All members are below this."""
        return SHORT_CODES + self._count

    def fill(self, read: Callable[[np.ndarray], Sequence[str]], rows: np.ndarray, workers: Workers) -> None:
        """Set i from the text of ``rows[i]``, which ``read`` gives for some rows at a time."""

        def prepare(first: int) -> list[tuple[Lines, Shingles]]:
            kinds = chunk(read(rows[first : first + _AT_ONCE]), first, self.shingle, self.fold)
            return [(lines, shingles(lines, self.shingle)) for lines in kinds if len(lines.rows)]

        for prepared in workers.map(prepare, range(0, len(rows), _AT_ONCE)):
            for lines, found in prepared:
                _shorten_all(found.codes, found.counts, self.begins[lines.rows], self.members)
                if lines.flat.dtype != np.uint8:
                    self._make_room(len(found.codes))
                    self._count = _number(
                        found.codes,
                        found.counts,
                        self.begins[lines.rows],
                        self.shingle,
                        self.members,
                        self._codes,
                        self._numbers,
                        self._count,
                    )

    def _make_room(self, more: int) -> None:
        if 2 * (self._count + more) > len(self._codes):
            codes, numbers = self._codes, self._numbers
            size = 1 << (4 * (self._count + more)).bit_length()
            self._codes, self._numbers = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
            _move(codes, numbers, self._codes, self._numbers)


@compiled
def _shorten_all(codes, counts, begins, members):  # type: ignore[no-untyped-def]
    """The members that are ASCII."""
    first = 0
    for i in range(len(counts)):
        for j in range(counts[i]):
            members[begins[i] + j] = np.uint32(shorten(codes[first + j]))
        first += counts[i]


@compiled
def _slot(code, codes):  # type: ignore[no-untyped-def]
    """Where ``code`` is in the table or would go; a slot holds code + 1, zero is free."""
    mask = _U(len(codes) - 1)
    slot = mix(code) & mask
    while codes[slot] != ZERO and codes[slot] != code + ONE:
        slot = (slot + ONE) & mask
    return slot


@compiled
def _number(sources, counts, begins, k, members, codes, numbers, count):  # type: ignore[no-untyped-def]
    """The members that are not ASCII; returns how many different ones there are by now."""
    first = 0
    for i in range(len(counts)):
        for j in range(counts[i]):
            code = sources[first + j]
            if is_short(code, k):
                continue
            slot = _slot(code, codes)
            if codes[slot] == ZERO:
                codes[slot] = code + ONE
                numbers[slot] = count
                count += 1
            members[begins[i] + j] = np.uint32(SHORT_CODES) + numbers[slot]
        first += counts[i]
    return count


@compiled
def _move(old_codes, old_numbers, codes, numbers):  # type: ignore[no-untyped-def]
    for i in range(len(old_codes)):
        if old_codes[i] != ZERO:
            slot = _slot(old_codes[i] - ONE, codes)
            codes[slot] = old_codes[i]
            numbers[slot] = old_numbers[i]

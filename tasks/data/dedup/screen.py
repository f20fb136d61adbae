"""Which rows of a bucket have a partner that could be similar enough, judged by sketches alone.

Long texts share many shingles by chance, so buckets are full of pairs that are far below the threshold. Here every pair
is looked at, but only through a few words per row that lie side by side; rows without a possible partner leave the race
before anyone reads their text. The result does not depend on the order of the work or on threads.
A refusal by size is never wrong; one by bit sketch or by odd sketch is, for a pair at the threshold, with probability
``MISS``. Not here: exact similarity and what follows from it (linkage.py).
"""

from math import comb
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from tasks.data.dedup.buckets import Buckets
from tasks.data.dedup.compiled import compiled, ones
from tasks.data.dedup.parallel import Workers
from tasks.data.dedup.shingles import ZERO
from tasks.data.dedup.signatures import SKETCH_WORDS, Described

MISS = 1e-5
_SHARES = 64
_BLOCK = 256
_U = np.uint64


class Limits(NamedTuple):
    """What a pair of at least ``threshold`` stays within: ``bits`` in which bit sketches differ, ``odd[d]`` bits in
    which odd sketches differ where the texts differ in d shingles at most (d beyond the table as its last)."""

    threshold: float
    bits: int
    odd: np.ndarray


def limits(permutations: int, threshold: float) -> Limits:
    """Limits that a pair at ``threshold`` exceeds with probability ``MISS`` each.

    A bit of the bit sketches differs with probability (1 - J) / 2, independently. The odd bits after d shingles fell on
    n places have mean n(1 - p)/2 and variance (n + n(n - 1)q - n²p²)/4, p = (1 - 2/n)^d, q = (1 - 4/n)^d, are close to
    normal, and never more than d.
    """
    differs = (1 - threshold) / 2
    bits, tail = permutations, 0.0
    while bits > 0:
        tail += comb(permutations, bits) * differs**bits * (1 - differs) ** (permutations - bits)
        if tail > MISS:
            break
        bits -= 1
    n = 64 * SKETCH_WORDS
    d = np.arange(8 * n)
    p, q = (1 - 2 / n) ** d, (1 - 4 / n) ** d
    deviation = np.sqrt(np.maximum(n + n * (n - 1) * q - n * n * p * p, 0)) / 2
    odd = n * (1 - p) / 2 + NormalDist().inv_cdf(1 - MISS) * deviation
    return Limits(threshold, bits, np.minimum(np.ceil(odd), d).astype(np.int64))


def screen(found: Buckets, described: Described, within: Limits, workers: Workers) -> Buckets:
    """The buckets without the rows that have no possible partner in any bucket."""
    marked = np.zeros(len(described.sizes), np.bool_)
    weight = np.cumsum(np.diff(found.starts) ** 2)
    shares = np.searchsorted(weight, np.linspace(0, weight[-1] if len(weight) else 0, _SHARES + 1)[1:-1])
    edges = [0, *shares.tolist(), len(found.starts) - 1]

    def mark(share: int) -> None:
        _mark(
            found.members,
            found.starts,
            edges[share],
            edges[share + 1],
            described.bits,
            described.sketches,
            described.sizes,
            *within,
            marked,
        )

    workers.each(mark, range(_SHARES))
    return Buckets(*_keep(found.members, found.starts, marked))


@compiled
def possible(x, y, sketches, sizes, threshold, odd):  # type: ignore[no-untyped-def]
    """Whether sizes and odd sketches of two rows leave room for a Jaccard of ``threshold``."""
    a, b = sizes[x], sizes[y]
    if min(a, b) / max(a, b) < threshold:
        return False
    apart = np.int64((1 - threshold) / (1 + threshold) * (a + b) * (1 + 1e-12))  # shingles that are not in both
    total = ZERO
    for i in range(sketches.shape[1]):
        total += ones(sketches[x, i] ^ sketches[y, i])
    return total <= _U(odd[min(apart, len(odd) - 1)])


@compiled
def _next(x, first, count, rows, near, bits, sketches, sizes, threshold, differ, odd, distance):  # type: ignore[no-untyped-def]
    """The first place in ``rows[first:count]`` (bit sketches in ``near``) with a possible partner of x, else
    ``count``."""
    for low in range(first, count, _BLOCK):
        high = min(count, low + _BLOCK)
        for w in range(near.shape[0]):
            mine = bits[x, w]
            for i in range(high - low):
                distance[i] = ones(mine ^ near[w, low + i]) + (distance[i] if w > 0 else ZERO)
        for i in range(high - low):
            if distance[i] <= _U(differ) and possible(x, rows[low + i], sketches, sizes, threshold, odd):
                return low + i
    return count


@compiled
def _mark(members, starts, first, last, bits, sketches, sizes, threshold, differ, odd, marked):  # type: ignore[no-untyped-def]
    """Mark every row that has a possible partner in a bucket of ``first`` … ``last`` - 1.

    A row is compared with all unmarked rows before it, so that they are found too, but with marked ones only until it
    is marked itself: a bucket of m near copies costs m comparisons.
    """
    longest = 0
    for b in range(first, last):
        longest = max(longest, starts[b + 1] - starts[b])
    rows = np.empty((2, longest), np.int64)
    near = np.empty((2, bits.shape[1], longest), np.uint64)
    distance = np.empty(_BLOCK, np.uint64)
    for b in range(first, last):
        open_count = np.int64(0)
        done_count = np.int64(0)
        for m in range(starts[b], starts[b + 1]):
            x = members[m]
            place = _next(
                x, np.int64(0), open_count, rows[0], near[0], bits, sketches, sizes, threshold, differ, odd, distance
            )
            found = place < open_count
            while place < open_count:
                marked[x] = True
                marked[rows[0, place]] = True
                place = _next(
                    x, place + 1, open_count, rows[0], near[0], bits, sketches, sizes, threshold, differ, odd, distance
                )
            if (
                not marked[x]
                and _next(
                    x,
                    np.int64(0),
                    done_count,
                    rows[1],
                    near[1],
                    bits,
                    sketches,
                    sizes,
                    threshold,
                    differ,
                    odd,
                    distance,
                )
                < done_count
            ):
                marked[x] = True
            if found:
                kept = 0
                for i in range(open_count):
                    side, place = (1, done_count) if marked[rows[0, i]] else (0, kept)
                    rows[side, place] = rows[0, i]
                    for w in range(bits.shape[1]):
                        near[side, w, place] = near[0, w, i]
                    done_count += side
                    kept += 1 - side
                open_count = kept
            side, place = (1, done_count) if marked[x] else (0, open_count)
            rows[side, place] = x
            for w in range(bits.shape[1]):
                near[side, w, place] = bits[x, w]
            done_count += side
            open_count += 1 - side


@compiled
def _keep(members, starts, marked):  # type: ignore[no-untyped-def]
    """Members and starts without unmarked rows and without the buckets that have fewer than two left."""
    kept = np.empty(len(members), np.int64)
    edges = np.zeros(len(starts), np.int64)
    count = 0
    groups = 0
    for b in range(len(starts) - 1):
        before = count
        for m in range(starts[b], starts[b + 1]):
            if marked[members[m]]:
                kept[count] = members[m]
                count += 1
        if count - before < 2:
            count = before
        else:
            groups += 1
            edges[groups] = count
    return kept[:count].copy(), edges[: groups + 1].copy()

"""Which candidates are dropped, and for whose sake: star or single linkage over pairs judged by exact Jaccard.

Candidates are numbered by rank, best first. A pair that shares a bucket is judged cheapest first: sizes and odd sketch,
then the exact Jaccard of the two shingle sets. Neither linkage compares a candidate with more of a cluster than it
must: star looks only at keepers, single at one side of a bucket until the first hit joins them.
Not here: what makes candidates (buckets.py, screen.py), what the ranks mean (near.py).
"""

from typing import NamedTuple

import numpy as np

from tasks.data.dedup.buckets import Buckets
from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.screen import Limits, possible

_U = np.uint64
_ONE = _U(1)


class Candidates(NamedTuple):
    """m candidates by rank. ``sketches``, ``sizes`` as in ``Described``; ``members[begins[i]:begins[i] + sizes[i]]`` is
    the shingle set of candidate i as numbers (uint32) below ``universe``."""

    sketches: np.ndarray
    sizes: np.ndarray
    members: np.ndarray
    begins: np.ndarray
    universe: int


class Entries(NamedTuple):
    """The buckets seen from the candidates: candidate i is in the buckets ``bucket[starts[i]:starts[i+1]]``, and bucket
    b has room for its members in ``room[b]`` … ``room[b+1]`` - 1."""

    starts: np.ndarray
    bucket: np.ndarray
    room: np.ndarray


def entries(found: Buckets, rank: np.ndarray, count: int) -> Entries:
    """Turn buckets of rows into entries of ``count`` candidates; ``rank[row]`` is a row's candidate number."""
    starts, bucket = _entries(found.members, found.starts, rank, count)
    return Entries(starts, bucket, found.starts)


def link(candidates: Candidates, at: Entries, linkage: str, within: Limits) -> tuple[np.ndarray, np.ndarray]:
    """For every candidate its keeper (itself where it is kept) and the exact Jaccard of the two."""
    if linkage == "star":
        return _star(*candidates, *at, within.threshold, within.odd)
    roots = _single(*candidates, *at, within.threshold, within.odd)
    return roots, _jaccards(*candidates, roots)


@compiled
def _entries(members, starts, rank, count):  # type: ignore[no-untyped-def]
    offsets = np.zeros(count + 1, np.int64)
    for member in members:
        offsets[rank[member] + 1] += 1
    offsets = np.cumsum(offsets)
    filled = offsets[:-1].copy()
    bucket = np.empty(len(members), np.int64)
    for b in range(len(starts) - 1):
        for i in range(starts[b], starts[b + 1]):
            r = rank[members[i]]
            bucket[filled[r]] = b
            filled[r] += 1
    return offsets, bucket


@compiled
def _insert(x, sizes, members, begins, seen):  # type: ignore[no-untyped-def]
    """Set a bit of ``seen`` for every shingle of x."""
    for i in range(begins[x], begins[x] + sizes[x]):
        seen[members[i] >> 6] |= _ONE << _U(members[i] & 63)


@compiled
def _remove(x, sizes, members, begins, seen):  # type: ignore[no-untyped-def]
    for i in range(begins[x], begins[x] + sizes[x]):
        seen[members[i] >> 6] = _U(0)


@compiled
def _jaccard(x, y, sizes, members, begins, seen):  # type: ignore[no-untyped-def]
    """The exact Jaccard of y and the inserted x."""
    both = _U(0)
    for i in range(begins[y], begins[y] + sizes[y]):
        both += (seen[members[i] >> 6] >> _U(members[i] & 63)) & _ONE
    common = np.int64(both)
    return common / (sizes[x] + sizes[y] - common)


@compiled
def _star(sketches, sizes, members, begins, universe, starts, bucket, room, threshold, odd):  # type: ignore[no-untyped-def]
    """Best first, a candidate is dropped when some keeper that shares a bucket is at least ``threshold`` similar; its
    keeper is the best such one."""
    m = len(sizes)
    seen = np.zeros(universe // 64 + 1, np.uint64)
    slot = np.empty(len(bucket), np.int64)
    filled = room[:-1].copy()
    judged = np.full(m, -1, np.int64)
    keeper = np.arange(m)
    jaccards = np.ones(m, np.float64)
    for x in range(m):
        inserted = False
        for e in range(starts[x], starts[x + 1]):
            for i in range(room[bucket[e]], filled[bucket[e]]):
                y = slot[i]
                if y >= keeper[x]:
                    break
                if judged[y] == x or not possible(x, y, sketches, sizes, threshold, odd):
                    continue
                judged[y] = x
                if not inserted:
                    _insert(x, sizes, members, begins, seen)
                    inserted = True
                jaccard = _jaccard(x, y, sizes, members, begins, seen)
                if jaccard >= threshold:
                    keeper[x] = y
                    jaccards[x] = jaccard
                    break
        if inserted:
            _remove(x, sizes, members, begins, seen)
        if keeper[x] == x:
            for e in range(starts[x], starts[x + 1]):
                slot[filled[bucket[e]]] = x
                filled[bucket[e]] += 1
    return keeper, jaccards


@compiled
def _find(parent, x):  # type: ignore[no-untyped-def]
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@compiled
def _single(sketches, sizes, members, begins, universe, starts, bucket, room, threshold, odd):  # type: ignore[no-untyped-def]
    """The best candidate of each connected component.

    Inside a bucket, earlier candidates stand in groups, chains of members already known to be connected. A candidate
    skips a group it belongs to, else tries its members until one hits; so a cluster of m copies costs m, not m².
    """
    m = len(sizes)
    seen = np.zeros(universe // 64 + 1, np.uint64)
    first_group = np.full(len(room) - 1, -1, np.int64)  # per bucket: an entry that leads a group
    next_group = np.full(len(bucket), -1, np.int64)  # per leading entry
    next_member = np.full(len(bucket), -1, np.int64)  # per entry
    owner = np.empty(len(bucket), np.int64)  # per entry: its candidate
    judged = np.full(m, -1, np.int64)
    parent = np.arange(m)
    for x in range(m):
        inserted = False
        for e in range(starts[x], starts[x + 1]):
            owner[e] = x
            group = first_group[bucket[e]]
            while group >= 0:
                entry = group if _find(parent, owner[group]) != _find(parent, x) else -1
                while entry >= 0:
                    y = owner[entry]
                    entry = next_member[entry]
                    if judged[y] == x or not possible(x, y, sketches, sizes, threshold, odd):
                        continue
                    judged[y] = x
                    if not inserted:
                        _insert(x, sizes, members, begins, seen)
                        inserted = True
                    if _jaccard(x, y, sizes, members, begins, seen) >= threshold:
                        one, other = _find(parent, x), _find(parent, y)
                        parent[max(one, other)] = min(one, other)
                        break
                group = next_group[group]
        if inserted:
            _remove(x, sizes, members, begins, seen)
        for e in range(starts[x], starts[x + 1]):
            group = first_group[bucket[e]]
            while group >= 0 and _find(parent, owner[group]) != _find(parent, x):
                group = next_group[group]
            if group >= 0:
                next_member[e] = next_member[group]
                next_member[group] = e
            else:
                next_group[e] = first_group[bucket[e]]
                first_group[bucket[e]] = e
    for x in range(m):
        parent[x] = _find(parent, x)
    return parent


@compiled
def _jaccards(sketches, sizes, members, begins, universe, roots):  # type: ignore[no-untyped-def]
    """The exact Jaccard of every candidate and its root."""
    seen = np.zeros(universe // 64 + 1, np.uint64)
    result = np.ones(len(roots), np.float64)
    for x in range(len(roots)):
        if roots[x] != x:
            _insert(x, sizes, members, begins, seen)
            result[x] = _jaccard(x, roots[x], sizes, members, begins, seen)
            _remove(x, sizes, members, begins, seen)
    return result

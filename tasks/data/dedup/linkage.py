"""Which candidates are dropped, and for whose sake: star or single linkage over pairs judged by exact Jaccard.

Candidates are numbered by rank, best first. A pair that shares a bucket is judged cheapest first: sizes, bit sketch, odd
sketch, then the exact Jaccard of the two shingle sets. Only the bit sketch can refuse wrongly: a pair at the threshold
with probability ``MISS``. Neither linkage compares a candidate with more of a cluster than it must: star looks only at
keepers, single at one side of a bucket until the first hit joins them.
Not here: what makes candidates (buckets.py), what the ranks mean (near.py).
"""

from math import comb
from typing import NamedTuple

import numpy as np

from tasks.data.dedup.buckets import Buckets
from tasks.data.dedup.compiled import compiled, ones
from tasks.data.dedup.shingles import SEEN_WORDS, common, insert, remove, slots

MISS = 1e-7
_U = np.uint64


class Candidates(NamedTuple):
    """m candidates by rank. ``bits``, ``sketches``, ``sizes`` as in ``Described``; the text of candidate i starts at
    ``places[i]`` of ``wide`` (uint32) where ``is_wide[i]``, else of ``narrow`` (uint8), and has ``lengths[i]`` code points."""

    bits: np.ndarray
    sketches: np.ndarray
    sizes: np.ndarray
    narrow: np.ndarray
    wide: np.ndarray
    is_wide: np.ndarray
    places: np.ndarray
    lengths: np.ndarray


class Entries(NamedTuple):
    """The buckets seen from the candidates: candidate i is in the buckets ``bucket[starts[i]:starts[i+1]]``, and bucket b has
    room for its members in ``slots[room[b]:room[b+1]]``."""

    starts: np.ndarray
    bucket: np.ndarray
    room: np.ndarray


def entries(found: Buckets, rank: np.ndarray, count: int) -> Entries:
    """Turn buckets of rows into entries of ``count`` candidates; ``rank[row]`` is a row's candidate number."""
    starts, bucket = _entries(found.members, found.starts, rank, count)
    return Entries(starts, bucket, found.starts)


def most_differing_bits(permutations: int, threshold: float) -> int:
    """In how many bits the bit sketches of a pair at ``threshold`` differ at most, but for ``MISS``: bits differ with
    probability (1 - J) / 2."""
    p = (1 - threshold) / 2
    tail = 0.0
    for differ in range(permutations, -1, -1):
        tail += comb(permutations, differ) * p**differ * (1 - p) ** (permutations - differ)
        if tail > MISS:
            return differ
    return permutations


def link(candidates: Candidates, at: Entries, linkage: str, permutations: int, threshold: float, shingle: int) -> tuple[np.ndarray, np.ndarray]:
    """For every candidate its keeper (itself where it is kept) and the exact Jaccard of the two."""
    differ = most_differing_bits(permutations, threshold)
    if linkage == "star":
        return _star(*candidates, *at, differ, threshold, shingle)
    roots = _single(*candidates, *at, differ, threshold, shingle)
    return roots, _jaccards(*candidates, roots, shingle)


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
def _possible(x, y, bits, sketches, sizes, differ, threshold):  # type: ignore[no-untyped-def]
    """Whether the sketches leave room for a Jaccard of ``threshold``."""
    a, b = sizes[x], sizes[y]
    if min(a, b) / max(a, b) < threshold:
        return False
    total = _U(0)
    for i in range(bits.shape[1]):
        total += ones(bits[x, i] ^ bits[y, i])
    if total > _U(differ):
        return False
    total = _U(0)
    for i in range(sketches.shape[1]):
        total += ones(sketches[x, i] ^ sketches[y, i])
    apart = np.int64(total)
    return (a + b - apart) / (a + b + apart) >= threshold


@compiled
def _insert(x, narrow, wide, is_wide, places, lengths, k, seen, table):  # type: ignore[no-untyped-def]
    if is_wide[x]:
        insert(wide[places[x] : places[x] + lengths[x]], lengths[x], k, seen, table)
    else:
        insert(narrow[places[x] : places[x] + lengths[x]], lengths[x], k, seen, table)


@compiled
def _remove(x, narrow, wide, is_wide, places, lengths, k, seen, table):  # type: ignore[no-untyped-def]
    if is_wide[x]:
        remove(wide[places[x] : places[x] + lengths[x]], lengths[x], k, seen, table)
    else:
        remove(narrow[places[x] : places[x] + lengths[x]], lengths[x], k, seen, table)


@compiled
def _jaccard(x, y, sizes, narrow, wide, is_wide, places, lengths, k, seen, table, hits):  # type: ignore[no-untyped-def]
    """The exact Jaccard of y and the inserted x."""
    if is_wide[y]:
        both = common(wide[places[y] : places[y] + lengths[y]], lengths[y], k, seen, table, lengths[x], hits)
    else:
        both = common(narrow[places[y] : places[y] + lengths[y]], lengths[y], k, seen, table, lengths[x], hits)
    return both / (sizes[x] + sizes[y] - both)


@compiled
def _longest(lengths, is_wide, k):  # type: ignore[no-untyped-def]
    """The longest text, and the longest that may need the table."""
    longest = 0
    tabled = 0
    for i in range(len(lengths)):
        longest = max(longest, lengths[i])
        if is_wide[i]:
            tabled = max(tabled, lengths[i])
    return longest, tabled


@compiled
def _star(bits, sketches, sizes, narrow, wide, is_wide, places, lengths, starts, bucket, room, differ, threshold, k):  # type: ignore[no-untyped-def]
    """Best first, a candidate is dropped when some keeper that shares a bucket is at least ``threshold`` similar; its keeper
    is the best such one."""
    m = len(sizes)
    longest, _ = _longest(lengths, is_wide, k)
    seen = np.zeros(SEEN_WORDS, np.uint64)
    table = np.zeros(slots(longest), np.uint64)
    hits = np.empty(longest + 1, np.uint64)
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
                if judged[y] == x or not _possible(x, y, bits, sketches, sizes, differ, threshold):
                    continue
                judged[y] = x
                if not inserted:
                    _insert(x, narrow, wide, is_wide, places, lengths, k, seen, table)
                    inserted = True
                jaccard = _jaccard(x, y, sizes, narrow, wide, is_wide, places, lengths, k, seen, table, hits)
                if jaccard >= threshold:
                    keeper[x] = y
                    jaccards[x] = jaccard
                    break
        if inserted:
            _remove(x, narrow, wide, is_wide, places, lengths, k, seen, table)
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
def _single(bits, sketches, sizes, narrow, wide, is_wide, places, lengths, starts, bucket, room, differ, threshold, k):  # type: ignore[no-untyped-def]
    """The best candidate of each connected component.

    Inside a bucket, earlier candidates stand in groups, chains of members already known to be connected. A candidate
    skips a group it belongs to, else tries its members until one hits; so a cluster of m copies costs m, not m².
    """
    m = len(sizes)
    longest, _ = _longest(lengths, is_wide, k)
    seen = np.zeros(SEEN_WORDS, np.uint64)
    table = np.zeros(slots(longest), np.uint64)
    hits = np.empty(longest + 1, np.uint64)
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
                member = group
                while member >= 0 and _find(parent, owner[group]) != _find(parent, x):
                    y = owner[member]
                    member = next_member[member]
                    if judged[y] == x or not _possible(x, y, bits, sketches, sizes, differ, threshold):
                        continue
                    judged[y] = x
                    if not inserted:
                        _insert(x, narrow, wide, is_wide, places, lengths, k, seen, table)
                        inserted = True
                    if _jaccard(x, y, sizes, narrow, wide, is_wide, places, lengths, k, seen, table, hits) >= threshold:
                        one, other = _find(parent, x), _find(parent, y)
                        parent[max(one, other)] = min(one, other)
                group = next_group[group]
        if inserted:
            _remove(x, narrow, wide, is_wide, places, lengths, k, seen, table)
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
def _jaccards(bits, sketches, sizes, narrow, wide, is_wide, places, lengths, roots, k):  # type: ignore[no-untyped-def]
    """The exact Jaccard of every candidate and its root."""
    longest, _ = _longest(lengths, is_wide, k)
    seen = np.zeros(SEEN_WORDS, np.uint64)
    table = np.zeros(slots(longest), np.uint64)
    hits = np.empty(longest + 1, np.uint64)
    result = np.ones(len(roots), np.float64)
    for x in range(len(roots)):
        if roots[x] != x:
            _insert(x, narrow, wide, is_wide, places, lengths, k, seen, table)
            result[x] = _jaccard(x, roots[x], sizes, narrow, wide, is_wide, places, lengths, k, seen, table, hits)
            _remove(x, narrow, wide, is_wide, places, lengths, k, seen, table)
    return result

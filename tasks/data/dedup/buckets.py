"""Which texts fall into the same bucket of a band: candidates to be judged.

Every band is sorted on its own: a word holds the key's high bits above the row number, so that one plain integer sort
(vectorised in NumPy) brings equal keys together. Key bits that the row number displaces only cost a few false
candidates. Not here: judging (linkage.py).
"""

from typing import NamedTuple

import numpy as np

from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.parallel import Workers

_U = np.uint64


class Buckets(NamedTuple):
    """Bucket b has the rows ``members[starts[b]:starts[b+1]]``, at least two, ascending."""

    members: np.ndarray
    starts: np.ndarray


def buckets(keys: np.ndarray, rows: np.ndarray, workers: Workers) -> Buckets:
    """Group ``rows`` by equal ``keys[band, row]`` (uint64, (bands, n)), band after band; bands are spread over
    ``workers``."""
    shift = max(1, int(keys.shape[1] - 1).bit_length())

    def one(band: int) -> tuple[np.ndarray, np.ndarray]:
        packed = _pack(keys[band], rows, _U(shift))
        packed.sort()
        return _runs(packed, _U(shift))

    found = list(workers.map(one, range(keys.shape[0])))
    starts, before = [np.zeros(1, np.int64)], 0
    for members, ends in found:
        starts.append(ends + before)
        before += len(members)
    return Buckets(np.concatenate([members for members, _ in found]), np.concatenate(starts))


@compiled
def _pack(keys, rows, shift):  # type: ignore[no-untyped-def]
    packed = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        packed[i] = (keys[rows[i]] >> shift << shift) | _U(rows[i])
    return packed


@compiled
def _runs(packed, shift):  # type: ignore[no-untyped-def]
    """Members of the runs of two or more equal keys, and where each run ends."""
    count = 0
    groups = 0
    n = len(packed)
    members = np.empty(n, np.int64)
    ends = np.empty(n // 2 + 1, np.int64)
    i = 0
    while i < n:
        key = packed[i] >> shift
        j = i + 1
        while j < n and packed[j] >> shift == key:
            j += 1
        if j - i > 1:
            for m in range(i, j):
                members[count] = np.int64(packed[m] & ((_U(1) << shift) - _U(1)))
                count += 1
            ends[groups] = count
            groups += 1
        i = j
    return members[:count].copy(), ends[:groups].copy()

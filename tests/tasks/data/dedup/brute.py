"""The slow truth: shingle sets, every pair compared."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse


def shingles(text: str, k: int = 3) -> frozenset[str]:
    """The distinct shingles of the normalised text."""
    plain = text.strip().lower()
    return frozenset(plain[i : i + k] for i in range(len(plain) - k + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """0.0 where both are empty: texts without a shingle resemble nothing."""
    return len(one & other) / len(one | other) if one or other else 0.0


def similar(texts: Sequence[str], threshold: float, k: int = 3) -> dict[tuple[int, int], float]:
    """All pairs i < j of at least ``threshold``, by a sparse product of all sets with all sets."""
    numbers: dict[str, int] = {}
    columns: list[int] = []
    edges = [0]
    for text in texts:
        columns.extend(numbers.setdefault(shingle, len(numbers)) for shingle in shingles(text, k))
        edges.append(len(columns))
    sets = sparse.csr_matrix(
        (np.ones(len(columns), np.int32), np.array(columns, np.int32), np.array(edges)),
        shape=(len(texts), max(len(numbers), 1)),
    )
    sizes = np.diff(edges)
    found = {}
    for first in range(0, len(texts), 500):
        common = (sets[first : first + 500] @ sets.T).toarray()
        union = sizes[first : first + 500, None] + sizes[None, :] - common
        values = np.divide(common, union, out=np.zeros(common.shape), where=union > 0)
        for i, j in zip(*np.nonzero(values >= threshold), strict=True):
            if first + i < j:
                found[first + int(i), int(j)] = float(values[i, j])
    return found


def proposed(
    texts: Sequence[str], threshold: float = 0.8, bands: int = 16, rows: int = 8, seed: int = 0
) -> set[tuple[int, int]]:
    """The pairs i < j that banding and screening leave to the exact check."""
    from tasks.data.dedup.buckets import buckets
    from tasks.data.dedup.parallel import Workers
    from tasks.data.dedup.screen import limits, screen
    from tasks.data.dedup.signatures import banding, describe, nothing_described
    from tasks.data.dedup.text import chunk

    how = banding(128, bands, rows, 3, seed)
    out = nothing_described(len(texts), how)
    describe(chunk(texts, 0, 3), how, out)
    with Workers(1) as workers:
        left = screen(buckets(out.keys, np.flatnonzero(out.sizes > 0), workers), out, limits(128, threshold), workers)
    groups = np.split(left.members, left.starts[1:-1])
    return {
        (min(x, y), max(x, y)) for group in groups for i, x in enumerate(group.tolist()) for y in group[:i].tolist()
    }

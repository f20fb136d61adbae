"""Near-duplicate removal of texts in memory: which to keep, which to drop, and for whose sake.

Texts are compared as sets of character shingles of their normalised form (stripped, lower case). Exact copies of a
normalised text go first. Of the others, MinHash banding proposes pairs and exact Jaccard judges them, so what is
dropped is at least ``threshold`` similar to its keeper (star) or joined to it by such pairs (single); a pair exactly at
the threshold is proposed with probability 1 - (1 - threshold^rows)^bands: 0.947 for 0.8, 16 x 8. Outcome and order of
the input are unrelated: ranks come from quality and text alone.
Not here: files and inputs larger than memory (files.py).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from configs.errors import BadInput
from tasks.data.dedup.parallel import Workers

Linkage = Literal["star", "single"]
CHUNK = 512  # texts whose shingles stay in a core's cache


class Duplicate(NamedTuple):
    """``dropped`` and ``keeper`` are positions in the input; ``jaccard`` is exact, 1.0 for copies."""

    dropped: int
    keeper: int
    jaccard: float


class Dedup(NamedTuple):
    """``kept`` positions, ascending; every other position is in ``duplicates``, ascending. ``exact_duplicates`` were
    dropped as copies of another normalised text, ``near_duplicates`` are the rest; ``clusters`` counts the kept that
    others were dropped for."""

    kept: list[int]
    duplicates: list[Duplicate]
    exact_duplicates: int
    near_duplicates: int
    clusters: int


class Method(NamedTuple):
    """How near is near, and how pairs are found; see :func:`deduplicate`."""

    threshold: float
    shingle: int
    permutations: int
    bands: int
    rows: int
    linkage: Linkage
    seed: int
    threads: int
    fold: bool = False

    def check(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            BadInput: names the value.
        """
        if not 0 < self.threshold <= 1:
            raise BadInput(f"dedup: threshold is {self.threshold}; it is a Jaccard similarity, above 0 and at most 1")
        if self.bands < 1 or self.rows < 1 or self.bands * self.rows > self.permutations:
            raise BadInput(
                f"dedup: {self.bands} bands of {self.rows} rows do not fit into {self.permutations} permutations; "
                "lower bands or rows"
            )
        if self.shingle < 1 or self.threads < 1:
            raise BadInput(f"dedup: shingle is {self.shingle} and threads is {self.threads}; both are at least 1")
        if self.linkage not in ("star", "single"):
            raise BadInput(f"dedup: linkage is {self.linkage!r}; use 'star' or 'single'")


def deduplicate(
    texts: Sequence[str],
    qualities: Sequence[float] | None = None,
    *,
    threshold: float = 0.8,
    shingle: int = 3,
    permutations: int = 128,
    bands: int = 16,
    rows: int = 8,
    linkage: Linkage = "star",
    seed: int = 0,
    threads: int = 2,
    fold: bool = False,
) -> Dedup:
    """Drop near-duplicates among ``texts``, keeping the best.

    Texts are ranked by quality, highest first, then by a digest of the normalised text (copies: by the text itself).
    star: in rank order, a text is dropped if and only if a text kept before it is proposed and at least ``threshold``
    similar; its keeper is the first such one. single: of every connected component of proposed pairs at least
    ``threshold`` similar, the first in rank is kept. A text shorter than one shingle has no near-duplicates, only
    copies.

    Args:
        texts: any strings; the caller joins what counts, such as prompt and response.
        qualities: one number per text, higher is better; None where all are equal.
        threshold: Jaccard similarity of the shingle sets, above 0 and at most 1.
        shingle: code points per shingle.
        permutations: length of the MinHash signature; ``bands`` x ``rows`` of it are used for proposing.
        linkage: "star" or "single".
        seed: of the permutations.
        threads: threads that compute; the result does not depend on it.
        fold: compare without what cannot be seen: kinds and runs of white space, characters of no width, Unicode's
            composed and decomposed forms (text.py).

    Raises:
        BadInput: a value outside its range, or qualities that are not one finite number per text.
    """
    method = Method(
        threshold=threshold,
        shingle=shingle,
        permutations=permutations,
        bands=bands,
        rows=rows,
        linkage=linkage,
        seed=seed,
        threads=threads,
        fold=fold,
    )
    method.check()
    if isinstance(texts, str) or not all(issubclass(kind, str) for kind in set(map(type, texts))):
        raise BadInput("dedup: texts are not a sequence of strings alone")
    from tasks.data.dedup.signatures import banding, describe, nothing_described
    from tasks.data.dedup.text import chunk

    how = banding(permutations, bands, rows, shingle, seed)
    out = nothing_described(len(texts), how)
    with Workers(threads) as workers:
        workers.each(
            lambda first: describe(chunk(texts[first : first + CHUNK], first, shingle, fold), how, out),
            range(0, len(texts), CHUNK),
        )
        return resolve(
            described=out,
            qualities=qualities,
            tie=texts.__getitem__,
            read=lambda rows: [texts[row] for row in rows],
            method=method,
            workers=workers,
        )


def resolve(
    described: Any,
    qualities: Sequence[float] | np.ndarray | None,
    tie: Callable[[int], Any],
    read: Callable[[np.ndarray], Sequence[str]],
    method: Method,
    workers: Workers,
    scratch: Path | None = None,
) -> Dedup:
    """From descriptions to the result. ``tie(row)`` orders copies of equal quality, ``read(rows)`` gives texts."""
    from tasks.data.dedup.buckets import buckets
    from tasks.data.dedup.linkage import Candidates, entries, link
    from tasks.data.dedup.screen import limits, screen
    from tasks.data.dedup.sets import Sets

    count = len(described.sizes)
    quality = _qualities(qualities, count)
    best_copy = _best_copies(described.digests, quality, tie)
    originals = np.flatnonzero((best_copy == np.arange(count)) & (described.sizes > 0))
    within = limits(method.permutations, method.threshold)
    found = screen(buckets(described.keys, originals, workers), described, within, workers)
    involved = np.unique(found.members)
    ranked = involved[np.lexsort((described.digests[involved, 1], described.digests[involved, 0], -quality[involved]))]
    rank = np.empty(count, np.int64)
    rank[ranked] = np.arange(len(ranked))
    sets = Sets(described.sizes[ranked], method.shingle, method.fold, scratch)
    sets.fill(read, ranked, workers)
    candidates = Candidates(
        described.sketches[ranked], described.sizes[ranked], sets.members, sets.begins, sets.universe
    )
    keeper, jaccard = link(candidates, entries(found, rank, len(ranked)), method.linkage, within)
    keepers = best_copy.copy()
    jaccards = np.ones(count)
    keepers[ranked] = ranked[keeper]
    jaccards[ranked] = jaccard
    keepers, jaccards = keepers[best_copy], jaccards[best_copy]
    dropped = np.flatnonzero(keepers != np.arange(count))
    exact = int(np.count_nonzero(best_copy != np.arange(count)))
    return Dedup(
        kept=np.flatnonzero(keepers == np.arange(count)).tolist(),
        duplicates=list(map(Duplicate, dropped.tolist(), keepers[dropped].tolist(), jaccards[dropped].tolist())),
        exact_duplicates=exact,
        near_duplicates=len(dropped) - exact,
        clusters=len(np.unique(keepers[dropped])),
    )


def _qualities(qualities: Sequence[float] | np.ndarray | None, count: int) -> np.ndarray:
    if qualities is None:
        return np.zeros(count)
    quality = np.asarray(qualities, np.float64)
    if quality.shape != (count,) or not np.isfinite(quality).all():
        raise BadInput(
            f"dedup: {count} texts need {count} finite qualities; there are {len(qualities)}, "
            f"{int(np.count_nonzero(~np.isfinite(quality)))} of them not finite"
        )
    return quality


def _best_copies(digests: np.ndarray, quality: np.ndarray, tie: Callable[[int], Any]) -> np.ndarray:
    """For every row the best row with the same digest: highest quality, then least ``tie``, then first."""
    best = np.arange(len(digests))
    order = np.argsort(digests[:, 0])
    ordered = digests[order]
    if np.any((ordered[1:, 0] == ordered[:-1, 0]) & (ordered[1:, 1] != ordered[:-1, 1])):
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        ordered = digests[order]
    same = np.all(ordered[1:] == ordered[:-1], axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        group = order[begin : end + 1].tolist()
        best[group] = min(group, key=lambda row: (-quality[row], tie(row), row))
    return best

"""The slow truth: shingle sets as Python sets, every pair compared."""

from collections.abc import Sequence


def shingles(text: str, k: int = 3) -> frozenset[str]:
    """The distinct shingles of the normalised text."""
    plain = text.strip().lower()
    return frozenset(plain[i : i + k] for i in range(len(plain) - k + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """0.0 where both are empty: texts without a shingle resemble nothing."""
    return len(one & other) / len(one | other) if one or other else 0.0


def similar(texts: Sequence[str], threshold: float, k: int = 3) -> dict[tuple[int, int], float]:
    """All pairs i < j of at least ``threshold``."""
    sets = [shingles(text, k) for text in texts]
    pairs = {(i, j): jaccard(sets[i], sets[j]) for i in range(len(sets)) for j in range(i + 1, len(sets))}
    return {pair: value for pair, value in pairs.items() if value >= threshold}

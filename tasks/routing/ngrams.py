"""Hashed character n-grams of a prompt: which buckets it falls into and how heavily.

Vectorised over the bytes, so that a prompt costs tens of microseconds; the same on every machine (no Python ``hash``).
Not here: what is learned over the buckets (domains.py) and which buckets the router reads (decide.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BASE = np.uint64(0x100000001B3)
MIX = np.uint64(0x9E3779B97F4A7C15)


def excerpt(text: str, characters: int) -> str:
    """The part of a prompt that is read: all of it, or its first and last ``characters // 2`` where it is longer (the
    instruction stands at one of the ends)."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return text[:half] + "\n" + text[len(text) - half :]


def hashes(text: str, sizes: Sequence[int]) -> NDArray[np.uint64]:
    """One 64-bit hash for every n-gram of lower-cased UTF-8 bytes, for every n of ``sizes``, a space before and
    after."""
    data = np.frombuffer(f" {text.lower()} ".encode(), dtype=np.uint8).astype(np.uint64)
    parts = []
    for size in sizes:
        length = len(data) - size + 1
        if length <= 0:
            continue
        value = np.full(length, size, dtype=np.uint64)
        for offset in range(size):
            value = value * BASE + data[offset : offset + length]
        value = (value ^ (value >> np.uint64(29))) * MIX
        parts.append(value ^ (value >> np.uint64(32)))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def buckets(text: str, sizes: Sequence[int], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The distinct buckets (of ``count``) a text falls into, and their weights: log(1 + times seen), of length 1 in
    all."""
    index, times = np.unique(hashes(text, sizes) % np.uint64(count), return_counts=True)
    weight = np.log1p(times).astype(np.float32)
    norm = float(np.linalg.norm(weight))
    return index.astype(np.int64), weight / norm if norm else weight


def folded(text: str, sizes: Sequence[int], width: int) -> NDArray[np.float32]:
    """A dense vector [width] of length 1: every n-gram adds +1 or -1 to one place (feature hashing, 0902.2206)."""
    if not width:
        return np.zeros(0, dtype=np.float32)
    values = hashes(text, sizes)
    place = ((values >> np.uint64(20)) % np.uint64(width)).astype(np.int64)
    sign = np.where(values >> np.uint64(63), 1.0, -1.0)
    vector = np.bincount(place, weights=sign, minlength=width).astype(np.float32)
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm else vector

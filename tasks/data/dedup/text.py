"""Normalised texts as flat arrays that kernels read.

Normalised means ``text.strip().lower()``, as Python defines both. Texts of ASCII alone become bytes (``narrow``), all others
code points (``wide``). Not here: what is computed from them (signatures.py).
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from tasks.data.dedup.compiled import compiled


class Lines(NamedTuple):
    """Texts of one kind, uint8 or uint32: text i is ``flat[begins[i]:begins[i] + lengths[i]]`` and belongs to ``rows[i]``."""

    flat: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray


class Chunk(NamedTuple):
    """Some texts, normalised."""

    narrow: Lines
    wide: Lines


def chunk(texts: Sequence[str], first: int, shingle: int) -> Chunk:
    """Normalise ``texts``, which are rows ``first``, ``first`` + 1, … of the input. Shingles of more than three code points
    have no codes of bytes, so every text is wide then."""
    rows = np.arange(first, first + len(texts))
    narrow: Iterable[str] = []
    wide: list[str] = []
    plain = list(map(str.isascii, texts)) if shingle <= 3 else [False] * len(texts)
    if all(plain):
        return Chunk(_narrow(texts, rows), _wide([], rows[:0]))
    is_plain = np.array(plain)
    narrow = list(compress(texts, plain))
    wide = [text.strip().lower() for text, skip in zip(texts, plain, strict=True) if not skip]
    narrow_rows, wide_rows = rows[is_plain], rows[~is_plain]
    if shingle <= 3 and any(map(str.isascii, wide)):  # such as KELVIN SIGN, whose lower case is k
        became = np.fromiter(map(str.isascii, wide), np.bool_, len(wide))
        narrow += list(compress(wide, became))
        narrow_rows = np.concatenate((narrow_rows, wide_rows[became]))
        wide, wide_rows = list(compress(wide, ~became)), wide_rows[~became]
    return Chunk(_narrow(narrow, narrow_rows), _wide(wide, wide_rows))


def _narrow(texts: Sequence[str], rows: np.ndarray) -> Lines:
    flat = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    lower, begins, kept = _normalise(flat, lengths)
    return Lines(lower, begins, kept, rows)


def _wide(texts: Sequence[str], rows: np.ndarray) -> Lines:
    flat = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return Lines(flat, np.cumsum(lengths) - lengths, lengths, rows)


@compiled
def _is_space(c):  # type: ignore[no-untyped-def]
    """ASCII of which ``str.isspace`` is true."""
    return c == 32 or 9 <= c <= 13 or 28 <= c <= 31


@compiled
def _normalise(flat, lengths):  # type: ignore[no-untyped-def]
    """Lower case and stripped: the new buffer, begins and lengths."""
    lower = np.empty(len(flat), np.uint8)
    for i in range(len(flat)):
        c = flat[i]
        lower[i] = c | (np.uint8(np.uint8(c - np.uint8(65)) < np.uint8(26)) << np.uint8(5))
    begins = np.empty(len(lengths), np.int64)
    kept = np.empty(len(lengths), np.int64)
    end = 0
    for i in range(len(lengths)):
        begin = end
        end += lengths[i]
        stop = end
        while begin < stop and _is_space(lower[begin]):
            begin += 1
        while begin < stop and _is_space(lower[stop - 1]):
            stop -= 1
        begins[i] = begin
        kept[i] = stop - begin
    return lower, begins, kept

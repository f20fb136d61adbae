"""Normalised texts as flat arrays that kernels read.

Normalised means ``text.strip().lower()`` as Python defines both, computed in bulk and mostly without the GIL. Texts
that are ASCII after it are bytes (``narrow``), all others code points (``wide``). Folded texts, moreover, are in
Unicode's form C, have no characters of no width, and one space or line break for every run of white space of whatever
kind. Not here: what is computed from them (shingles.py).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from tasks.data.dedup.compiled import compiled

CASED_BELOW = 0x20000  # no code point from here on has a case
STRETCH = 32  # bytes that are looked at and moved at once
SPECIAL = "\u0130\u03a3\u212a"  # İ becomes two code points, Σ depends on its neighbours, KELVIN SIGN becomes ASCII
# of no width: soft hyphen, joiners, marks of direction, byte order marks, variation selectors
_WIDTHLESS = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]"
)
_SPACES = re.compile(
    r"\s(?:\s+|(?<![\n ]))"
)  # a run, or one that is neither; an alternative first would be half as fast
_BREAKS = re.compile("[\n\r\u0085\u2028\u2029]")


def folded(text: str) -> str:
    """``text`` without what cannot be seen: form C, nothing of no width, one space or line break for every run of white
    space."""
    return _SPACES.sub(lambda run: "\n" if _BREAKS.search(run[0]) else " ", normalize("NFC", _WIDTHLESS.sub("", text)))


class Lines(NamedTuple):
    """Texts of one kind, uint8 or uint32: text i is ``flat[begins[i]:begins[i] + lengths[i]]`` and belongs to
    ``rows[i]``."""

    flat: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray


class Chunk(NamedTuple):
    """Some texts, normalised."""

    narrow: Lines
    wide: Lines


def chunk(texts: Sequence[str], first: int, shingle: int, fold: bool = False) -> Chunk:
    """Normalise ``texts``, which are rows ``first``, ``first`` + 1, … of the input, and ``fold`` them. Shingles of more
    than three code points do not fit the bytes' code, so every text is wide then."""
    rows = np.arange(first, first + len(texts))
    plain = (
        np.fromiter(map(str.isascii, texts), np.bool_, len(texts)) if shingle <= 3 else np.zeros(len(texts), np.bool_)
    )
    if plain.all():
        return Chunk(_narrow(texts, rows, fold), _wide([], rows[:0]))
    others = [_prepared(folded(text) if fold else text) for text in compress(texts, ~plain)]
    narrow, narrow_rows, wide_rows = list(compress(texts, plain)), rows[plain], rows[~plain]
    became = (
        np.fromiter(map(str.isascii, others), np.bool_, len(others))
        if shingle <= 3
        else np.zeros(len(others), np.bool_)
    )
    if became.any():
        narrow += compress(others, became)
        narrow_rows = np.concatenate((narrow_rows, wide_rows[became]))
        others, wide_rows = list(compress(others, ~became)), wide_rows[~became]
    return Chunk(_narrow(narrow, narrow_rows, fold), _wide(others, wide_rows))


def _prepared(text: str) -> str:
    """Stripped, and in lower case where that is more than a table from code point to code point."""
    stripped = text.strip()
    return stripped.lower() if any(special in stripped for special in SPECIAL) else stripped


def _narrow(texts: Sequence[str], rows: np.ndarray, fold: bool) -> Lines:
    flat = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    lower, begins, kept = _strip_and_lower(flat, lengths)
    if fold:
        _fold(lower, begins, kept)
    return Lines(lower, begins, kept, rows)


def _wide(texts: Sequence[str], rows: np.ndarray) -> Lines:
    flat = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return Lines(_lower(flat, lower_table()) if len(flat) else flat, np.cumsum(lengths) - lengths, lengths, rows)


@lru_cache(maxsize=1)
def lower_table() -> np.ndarray:
    """The lower case of every code point below ``CASED_BELOW`` (uint32) that is a single one whatever its
    neighbours."""
    points = [chr(point) for point in range(CASED_BELOW)]
    points[0x130] = "i"  # keeps the table in step; texts with it never come here
    lower = (
        "\n".join(points).lower().encode("utf-32-le", "surrogatepass")
    )  # a line break keeps Σ from having neighbours
    return np.frombuffer(lower, np.uint32)[::2].copy()


@compiled
def _lower(flat, table):  # type: ignore[no-untyped-def]
    result = np.empty(len(flat), np.uint32)
    for i in range(len(flat)):
        result[i] = table[flat[i]] if flat[i] < len(table) else flat[i]
    return result


@compiled
def _is_space(c):  # type: ignore[no-untyped-def]
    """ASCII of which ``str.isspace`` is true."""
    return c == 32 or 9 <= c <= 13 or 28 <= c <= 31


@compiled
def _strip_and_lower(flat, lengths):  # type: ignore[no-untyped-def]
    """The buffer in lower case, and begins and lengths without the white space around the texts."""
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


@compiled
def _has_runs(text):  # type: ignore[no-untyped-def]
    """Whether white space follows white space, or is neither space nor line break; control characters may count too.
    The last byte is only looked at as what follows. In bytes and without branches, so that the processor takes many at
    once."""
    odd = False
    for i in range(len(text) - 1):
        c, after = text[i], text[i + 1]
        odd |= ((c < np.uint8(33)) & (after < np.uint8(33))) | ((c < np.uint8(32)) & (c != np.uint8(10)))
    return odd


@compiled
def _fold(flat, begins, lengths):  # type: ignore[no-untyped-def]
    """One space or line break for every run of white space, in place; a stretch without runs is moved as a whole."""
    for i in range(len(lengths)):
        begin, end = begins[i], begins[i] + lengths[i]
        if not _has_runs(flat[begin:end]):  # the last byte of a text is no white space, it is stripped
            continue
        out = j = begin
        while j < end:
            while j + STRETCH < end and not _has_runs(flat[j : j + STRETCH + 1]):
                if out < j:
                    for k in range(STRETCH):
                        flat[out + k] = flat[j + k]
                out += STRETCH
                j += STRETCH
            stop = min(end, j + STRETCH + 1)
            while j < stop:
                c = flat[j]
                j += 1
                if _is_space(c):
                    c = np.uint8(10) if c == 10 or c == 13 else np.uint8(32)
                    while _is_space(flat[j]):
                        if flat[j] == 10 or flat[j] == 13:
                            c = np.uint8(10)
                        j += 1
                flat[out] = c
                out += 1
        lengths[i] = out - begin

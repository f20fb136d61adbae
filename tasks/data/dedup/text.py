"""Normalised texts as flat arrays that kernels read.

Normalised means ``text.strip().lower()``, as Python defines both. Texts of ASCII alone become bytes (``narrow``), all
others code points (``wide``). Not here: what is computed from them (signatures.py).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Chunk(NamedTuple):
    """Some texts, normalised: text i of a kind is ``narrow[starts[i]:starts[i+1]]`` (uint8) or ``wide[…]`` (uint32) and
    belongs to row ``rows[i]`` of the whole input."""

    narrow: np.ndarray
    narrow_starts: np.ndarray
    narrow_rows: np.ndarray
    wide: np.ndarray
    wide_starts: np.ndarray
    wide_rows: np.ndarray


def chunk(texts: Iterable[str], rows: Iterable[int], shingle: int) -> Chunk:
    """Normalise ``texts``, which belong to ``rows`` of the input."""
    narrow, narrow_rows, wide, wide_rows = [], [], [], []
    for row, text in zip(rows, texts, strict=False):
        plain = text.strip().lower()
        if shingle <= 3 and plain.isascii():
            narrow.append(plain)
            narrow_rows.append(row)
        else:
            wide.append(plain)
            wide_rows.append(row)
    return Chunk(
        np.frombuffer("".join(narrow).encode("ascii"), np.uint8),
        _starts(narrow),
        np.array(narrow_rows, np.int64),
        np.frombuffer("".join(wide).encode("utf-32-le", "surrogatepass"), np.uint32),
        _starts(wide),
        np.array(wide_rows, np.int64),
    )


def _starts(texts: list[str]) -> np.ndarray:
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=starts[1:])
    return starts

"""From normalised text to what finding and judging candidates needs: band keys, two sketches, digest, size.

One call handles a chunk of texts without the GIL. The signature is MinHash (Broder 1997): a permutation is h → a·h + b
mod 2³², a odd, over a mixed 32-bit hash, the scheme datasketch 2.0 calls affine32, which the compiler turns into 16
lanes of multiply, add and min. Each is used twice, forwards for its minimum and in reverse for its maximum: Min-Max
Hash (Ji et al. 2013), which halves the multiplications and estimates no worse. Of the signature only a key per band and
a bit per value are kept.

Two sketches let pairs be refused without their texts. The bit sketch is one bit of every value (Li, König 2010). The
odd sketch (Mitzenmacher, Pagh, Pham 2014) keeps, per bit, the parity of the shingles that fall on it: two sketches
differ in about as many bits as the texts differ in shingles, never in more.
Not here: normalisation (text.py); which pairs are compared (buckets.py) and what is dropped (linkage.py).
"""

from typing import NamedTuple

import numpy as np

from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.shingles import ONE, ZERO, mix, shingles
from tasks.data.dedup.text import Chunk

SKETCH_WORDS = 16
_STEP = 8  # hashes that are permuted before a minimum is stored
_U = np.uint64


class Banding(NamedTuple):
    """How signatures are made: ``multiply`` and ``add`` (uint32) of every second permutation, ``weigh`` (uint64) of
    each of the signature's values in its band's key, ``rows`` values in each of ``bands`` bands."""

    multiply: np.ndarray
    add: np.ndarray
    weigh: np.ndarray
    bands: int
    rows: int
    shingle: int


class Described(NamedTuple):
    """What is known of n texts: ``keys`` uint64 (bands, n), ``bits`` uint64 (n, permutations / 64), ``sketches`` uint64
    (n, 16), ``sizes`` int32 (n) distinct shingles, ``digests`` uint64 (n, 2)."""

    keys: np.ndarray
    bits: np.ndarray
    sketches: np.ndarray
    sizes: np.ndarray
    digests: np.ndarray


def banding(permutations: int, bands: int, rows: int, shingle: int, seed: int) -> Banding:
    """Draw the permutations from ``seed``."""
    draw = np.random.default_rng(seed)
    multiply, add = draw.integers(0, 2**32, size=(2, (permutations + 1) // 2), dtype=np.uint32)
    weigh = draw.integers(0, 2**64, size=permutations, dtype=np.uint64)
    return Banding(multiply=multiply | np.uint32(1), add=add, weigh=weigh, bands=bands, rows=rows, shingle=shingle)


def nothing_described(count: int, how: Banding) -> Described:
    """Room for ``count`` texts."""
    words = (len(how.weigh) + 63) // 64
    return Described(
        np.empty((how.bands, count), np.uint64),
        np.empty((count, words), np.uint64),
        np.empty((count, SKETCH_WORDS), np.uint64),
        np.empty(count, np.int32),
        np.empty((count, 2), np.uint64),
    )


def joined(parts: list[Described], how: Banding) -> Described:
    """``parts``, one after the other, as one; empties the list as it goes, so that little is there twice."""
    if not parts:
        return nothing_described(0, how)
    columns = [list(column) for column in zip(*parts, strict=True)]
    parts.clear()
    whole: list[np.ndarray] = []
    while columns:
        column = columns.pop(0)
        whole.append(np.concatenate(column, axis=1 if not whole else 0))
    return Described(*whole)


def describe(chunk: Chunk, how: Banding, out: Described) -> None:
    """Fill the columns of ``out`` that belong to ``chunk``."""
    for lines in chunk:
        if len(lines.rows):
            found = shingles(lines, how.shingle)
            out.digests[lines.rows] = found.digests
            out.sizes[lines.rows] = found.counts
            _describe(
                found.codes,
                found.counts,
                lines.rows,
                how.multiply,
                how.add,
                how.weigh,
                how.rows,
                out.keys,
                out.bits,
                out.sketches,
            )


def signatures(chunk: Chunk, how: Banding) -> np.ndarray:
    """The whole MinHash signatures by row, uint32 (n, permutations): for measuring the estimator, not for finding
    pairs."""
    out = np.empty((sum(len(lines.rows) for lines in chunk), len(how.weigh)), np.uint32)
    for lines in chunk:
        found = shingles(lines, how.shingle)
        edges = np.cumsum(found.counts)
        for row, end, count in zip(lines.rows, edges, found.counts, strict=True):
            codes = found.codes[end - count : end].copy()
            hashes = np.empty(len(codes) + _STEP, np.uint32)
            _hash(codes, hashes, np.empty(SKETCH_WORDS, np.uint64))
            _sign(hashes, len(codes), how.multiply, how.add, np.empty_like(how.add), np.empty_like(how.add), out[row])
    return out


@compiled
def _hash(codes, hashes, sketch):  # type: ignore[no-untyped-def]
    """A 32-bit hash of every code, padded to whole steps of the signature, and the odd sketch of all. Overwrites
    ``codes``."""
    count = len(codes)
    for j in range(count):
        codes[j] = mix(codes[j])
    for j in range(count):
        hashes[j] = np.uint32(codes[j])
    for j in range(count, count + _STEP - 1):
        hashes[j] = hashes[0]  # a repeated shingle changes nothing
    for i in range(SKETCH_WORDS):
        sketch[i] = ZERO
    for j in range(count):
        sketch[codes[j] >> _U(60)] ^= ONE << ((codes[j] >> _U(54)) & _U(63))


@compiled
def _sign(hashes, count, multiply, add, low, high, values):  # type: ignore[no-untyped-def]
    """The signature of ``hashes[:count]``: all minima, then the complements of all maxima (one fewer where the number
    of ``values`` is odd). ``low`` and ``high`` are room."""
    half = len(add)
    for i in range(half):
        low[i] = np.uint32(0xFFFFFFFF)
        high[i] = np.uint32(0)
    for j in range(0, count, _STEP):
        h0, h1, h2, h3, h4, h5, h6, h7 = (
            hashes[j],
            hashes[j + 1],
            hashes[j + 2],
            hashes[j + 3],
            hashes[j + 4],
            hashes[j + 5],
            hashes[j + 6],
            hashes[j + 7],
        )
        for i in range(half):
            a, b = multiply[i], add[i]
            v0, v1, v2, v3 = np.uint32(a * h0 + b), np.uint32(a * h1 + b), np.uint32(a * h2 + b), np.uint32(a * h3 + b)
            v4, v5, v6, v7 = np.uint32(a * h4 + b), np.uint32(a * h5 + b), np.uint32(a * h6 + b), np.uint32(a * h7 + b)
            low[i] = min(low[i], min(min(min(v0, v1), min(v2, v3)), min(min(v4, v5), min(v6, v7))))
            high[i] = max(high[i], max(max(max(v0, v1), max(v2, v3)), max(max(v4, v5), max(v6, v7))))
    for i in range(half):
        values[i] = low[i]
    for i in range(len(values) - half):
        values[half + i] = ~high[i]


@compiled
def _keep(values, weigh, rows, keys, row, bits):  # type: ignore[no-untyped-def]
    """One 64-bit key per band of ``rows`` values into ``keys[:, row]``, one bit per value into ``bits``."""
    for band in range(keys.shape[0]):
        key = _U(band)
        for i in range(band * rows, (band + 1) * rows):
            key += _U(values[i]) * weigh[i]
        keys[band, row] = mix(key)
    for word in range(len(bits)):
        first = word * 64
        packed = ZERO
        for i in range(min(64, len(values) - first)):
            packed |= _U(np.uint32(values[first + i] * np.uint32(0x9E3779B1)) >> np.uint32(31)) << _U(i)
        bits[word] = packed


@compiled
def _describe(codes, counts, rows_of, multiply, add, weigh, rows, keys, bits, sketches):  # type: ignore[no-untyped-def]
    """Keys and sketches of the texts whose shingles are ``codes``, each in column ``rows_of[i]``."""
    hashes = np.empty((np.max(counts) if len(counts) else 0) + _STEP, np.uint32)
    low, high, values = np.empty(len(add), np.uint32), np.empty(len(add), np.uint32), np.empty(len(weigh), np.uint32)
    first = 0
    for i in range(len(counts)):
        row = rows_of[i]
        _hash(codes[first : first + counts[i]], hashes, sketches[row])
        _sign(hashes, counts[i], multiply, add, low, high, values)
        _keep(values, weigh, rows, keys, row, bits[row])
        first += counts[i]

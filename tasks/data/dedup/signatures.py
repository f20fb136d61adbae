"""From normalised text to what finding and judging candidates needs: band keys, two sketches, digest, size.

One call handles a chunk of texts without the GIL. The signature is classic MinHash (Broder 1997): each permutation is
h → a·h + b mod 2³², a odd, over a mixed 32-bit hash; the scheme datasketch 2.0 calls affine32, which the compiler turns
into 16 lanes of multiply, add and min. Of the signature only a key per band and a bit per minimum are kept.

Two sketches let pairs be refused without their texts. The bit sketch is one bit of every minimum (Li, König 2010). The odd
sketch (Mitzenmacher, Pagh, Pham 2014) keeps, per bit, the parity of the shingles that fall on it: two sketches never differ
in more bits than the texts differ in shingles, so it never refuses wrongly.
Not here: normalisation (text.py); which pairs are compared (buckets.py) and what is dropped (linkage.py).
"""

from typing import NamedTuple

import numpy as np

from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.shingles import ONE, ZERO, mix, shingles
from tasks.data.dedup.text import Chunk

SKETCH_WORDS = 16
_U = np.uint64


class Banding(NamedTuple):
    """How signatures are made: ``multiply`` and ``add`` (uint32) of every permutation, ``weigh`` (uint64) of every minimum in
    its band's key, ``rows`` minima in each of ``bands`` bands."""

    multiply: np.ndarray
    add: np.ndarray
    weigh: np.ndarray
    bands: int
    rows: int
    shingle: int


class Described(NamedTuple):
    """What is known of n texts: ``keys`` uint64 (bands, n), ``bits`` uint64 (n, permutations / 64), ``sketches`` uint64 (n, 16),
    ``sizes`` int32 (n) distinct shingles, ``digests`` uint64 (n, 2)."""

    keys: np.ndarray
    bits: np.ndarray
    sketches: np.ndarray
    sizes: np.ndarray
    digests: np.ndarray


def banding(permutations: int, bands: int, rows: int, shingle: int, seed: int) -> Banding:
    """Draw the permutations from ``seed``."""
    draw = np.random.default_rng(seed)
    multiply, add = draw.integers(0, 2**32, size=(2, permutations), dtype=np.uint32)
    weigh = draw.integers(0, 2**64, size=permutations, dtype=np.uint64)
    return Banding(multiply | np.uint32(1), add, weigh, bands, rows, shingle)


def nothing_described(count: int, how: Banding) -> Described:
    """Room for ``count`` texts."""
    words = (len(how.add) + 63) // 64
    return Described(
        np.empty((how.bands, count), np.uint64),
        np.empty((count, words), np.uint64),
        np.empty((count, SKETCH_WORDS), np.uint64),
        np.empty(count, np.int32),
        np.empty((count, 2), np.uint64),
    )


def describe(chunk: Chunk, how: Banding, out: Described) -> None:
    """Fill the columns of ``out`` that belong to ``chunk``."""
    for lines in chunk:
        if len(lines.rows):
            found = shingles(lines, how.shingle)
            out.digests[lines.rows] = found.digests
            out.sizes[lines.rows] = found.counts
            _describe(found.codes, found.counts, lines.rows, how.multiply, how.add, how.weigh, how.rows, out.keys, out.bits, out.sketches)


def signatures(chunk: Chunk, how: Banding) -> np.ndarray:
    """The whole MinHash signatures by row, uint32 (n, permutations): for measuring the estimator, not for finding pairs."""
    out = np.empty((sum(len(lines.rows) for lines in chunk), len(how.add)), np.uint32)
    for lines in chunk:
        found = shingles(lines, how.shingle)
        for codes, row in zip(np.split(found.codes.copy(), np.cumsum(found.counts)[:-1]), lines.rows, strict=True):
            hashes = np.empty(len(codes) + 3, np.uint32)
            _hash(codes, hashes, np.empty(SKETCH_WORDS, np.uint64))
            _minimise(hashes, len(codes), how.multiply, how.add, out[row])
    return out


@compiled
def _hash(codes, hashes, sketch):  # type: ignore[no-untyped-def]
    """A 32-bit hash of every code, padded to a multiple of four, and the odd sketch of all. Overwrites ``codes``."""
    count = len(codes)
    for j in range(count):
        codes[j] = mix(codes[j])
    for j in range(count):
        hashes[j] = np.uint32(codes[j])
    for j in range(count, (count + 3) // 4 * 4):
        hashes[j] = hashes[0]  # a repeated shingle changes no minimum
    for i in range(SKETCH_WORDS):
        sketch[i] = ZERO
    for j in range(count):
        sketch[codes[j] >> _U(60)] ^= ONE << ((codes[j] >> _U(54)) & _U(63))


@compiled
def _minimise(hashes, count, multiply, add, minima):  # type: ignore[no-untyped-def]
    """The MinHash signature of ``hashes[:count]``."""
    for i in range(len(minima)):
        minima[i] = np.uint32(0xFFFFFFFF)
    for j in range(0, (count + 3) // 4 * 4, 4):
        h0, h1, h2, h3 = hashes[j], hashes[j + 1], hashes[j + 2], hashes[j + 3]
        for i in range(len(minima)):
            a, b = multiply[i], add[i]
            first = min(np.uint32(a * h0 + b), np.uint32(a * h1 + b))
            second = min(np.uint32(a * h2 + b), np.uint32(a * h3 + b))
            minima[i] = min(minima[i], min(first, second))


@compiled
def _keep(minima, weigh, rows, keys, row, bits):  # type: ignore[no-untyped-def]
    """One 64-bit key per band of ``rows`` minima into ``keys[:, row]``, one bit per minimum into ``bits``."""
    for band in range(keys.shape[0]):
        key = _U(band)
        for i in range(band * rows, (band + 1) * rows):
            key += _U(minima[i]) * weigh[i]
        keys[band, row] = mix(key)
    for word in range(len(bits)):
        first = word * 64
        packed = ZERO
        for i in range(min(64, len(minima) - first)):
            packed |= _U((minima[first + i] * np.uint32(0x9E3779B1)) >> np.uint32(31)) << _U(i)
        bits[word] = packed


@compiled
def _describe(codes, counts, rows_of, multiply, add, weigh, rows, keys, bits, sketches):  # type: ignore[no-untyped-def]
    """Keys and sketches of the texts whose shingles are ``codes``, each in column ``rows_of[i]``."""
    hashes = np.empty((np.max(counts) if len(counts) else 0) + 3, np.uint32)
    minima = np.empty(len(add), np.uint32)
    first = 0
    for i in range(len(counts)):
        row = rows_of[i]
        _hash(codes[first : first + counts[i]], hashes, sketches[row])
        _minimise(hashes, counts[i], multiply, add, minima)
        _keep(minima, weigh, rows, keys, row, bits[row])
        first += counts[i]

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
from tasks.data.dedup.shingles import GOLDEN, MIX_A, MIX_B, ONE, SEEN_WORDS, ZERO, mix, narrow_codes, slots, wide_codes
from tasks.data.dedup.text import Chunk

SKETCH_WORDS = 16
_U = np.uint64


class Banding(NamedTuple):
    """How signatures are made: ``multiply`` and ``add`` (uint32, one per permutation), ``rows`` minima per band."""

    multiply: np.ndarray
    add: np.ndarray
    bands: int
    rows: int
    shingle: int


class Described(NamedTuple):
    """What is known of n texts: ``keys`` uint64 (bands, n), ``bits`` uint64 (n, permutations/64), ``sketches`` uint64 (n, 16),
    ``sizes`` int32 (n) distinct shingles, ``digests`` uint64 (n, 2)."""

    keys: np.ndarray
    bits: np.ndarray
    sketches: np.ndarray
    sizes: np.ndarray
    digests: np.ndarray


def banding(permutations: int, bands: int, rows: int, shingle: int, seed: int) -> Banding:
    """Draw the permutations from ``seed``."""
    drawn = np.random.default_rng(seed).integers(0, 2**32, size=(2, permutations), dtype=np.uint32)
    return Banding(drawn[0] | np.uint32(1), drawn[1].copy(), bands, rows, shingle)


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
    if len(chunk.narrow_rows):
        _describe_narrow(chunk.narrow, chunk.narrow_starts, chunk.narrow_rows, how.shingle, how.multiply, how.add, how.rows, *out)
    if len(chunk.wide_rows):
        _describe_wide(chunk.wide, chunk.wide_starts, chunk.wide_rows, how.shingle, how.multiply, how.add, how.rows, *out)


def signatures(chunk: Chunk, how: Banding) -> np.ndarray:
    """The whole MinHash signatures, uint32 (n, permutations), as an outside check on the scheme."""
    out = np.empty((len(chunk.narrow_rows) + len(chunk.wide_rows), len(how.add)), np.uint32)
    for text, starts, rows in ((chunk.narrow, chunk.narrow_starts, chunk.narrow_rows), (chunk.wide, chunk.wide_starts, chunk.wide_rows)):
        for i, row in enumerate(rows):
            line = text[starts[i] : starts[i + 1]].astype(np.uint32)
            _signature(line, how.shingle, how.multiply, how.add, out[row])
    return out


@compiled
def _digest(words, count, length, out):  # type: ignore[no-untyped-def]
    """A 128-bit digest of ``words[:count]`` (zero-padded text): two sums of mixed, position-dependent words."""
    low = mix(_U(length) + GOLDEN)
    high = mix(_U(length) ^ MIX_B)
    for j in range(count):
        place = _U(j + 1) * GOLDEN
        low += mix(words[j] ^ place)
        high += mix((words[j] * MIX_A) ^ ~place)
    out[0] = mix(low)
    out[1] = mix(high)


@compiled
def _hashes(codes, count, hashes, sketch):  # type: ignore[no-untyped-def]
    """A 32-bit hash of every code, padded to a multiple of four, and the odd sketch of all."""
    sketch[:] = ZERO
    for j in range(count):
        mixed = mix(codes[j])
        hashes[j] = np.uint32(mixed)
        place = mixed >> _U(54)
        sketch[place >> _U(6)] ^= ONE << (place & _U(63))
    for j in range(count, (count + 3) // 4 * 4):
        hashes[j] = hashes[0]  # a repeated shingle changes no minimum


@compiled
def _minima(hashes, count, multiply, add, minima):  # type: ignore[no-untyped-def]
    """The MinHash signature of ``hashes[:count]``."""
    minima[:] = np.uint32(0xFFFFFFFF)
    for j in range(0, (count + 3) // 4 * 4, 4):
        h0, h1, h2, h3 = hashes[j], hashes[j + 1], hashes[j + 2], hashes[j + 3]
        for i in range(len(minima)):
            a, b = multiply[i], add[i]
            first = min(np.uint32(a * h0 + b), np.uint32(a * h1 + b))
            second = min(np.uint32(a * h2 + b), np.uint32(a * h3 + b))
            minima[i] = min(minima[i], min(first, second))


@compiled
def _keys(minima, rows, keys, row, bits):  # type: ignore[no-untyped-def]
    """One 64-bit key per band of ``rows`` minima into ``keys[:, row]``; one bit per minimum into ``bits``."""
    for band in range(keys.shape[0]):
        key = _U(band + 1) * GOLDEN
        for i in range(band * rows, (band + 1) * rows):
            key = (key ^ _U(minima[i])) * MIX_A
            key ^= key >> _U(32)
        keys[band, row] = mix(key)
    bits[:] = ZERO
    for i in range(len(minima)):
        bits[i >> 6] |= _U((minima[i] * np.uint32(0x9E3779B1)) >> np.uint32(31)) << _U(i & 63)


@compiled
def _describe_narrow(text, starts, rows_of, k, multiply, add, rows, keys, bits, sketches, sizes, digests):  # type: ignore[no-untyped-def]
    """Describe ``text[starts[i]:starts[i+1]]`` (uint8) in column ``rows_of[i]``."""
    longest = 0
    for i in range(len(rows_of)):
        longest = max(longest, starts[i + 1] - starts[i])
    words = np.zeros(longest // 8 + 1, np.uint64)
    line = words.view(np.uint8)
    codes = np.empty(longest + 4, np.uint64)
    hashes = np.empty(longest + 4, np.uint32)
    seen = np.zeros(SEEN_WORDS, np.uint64)
    minima = np.empty(len(add), np.uint32)
    for i in range(len(rows_of)):
        length = starts[i + 1] - starts[i]
        used = (length + 7) // 8
        words[used - 1 if used else 0] = ZERO
        line[:length] = text[starts[i] : starts[i + 1]]
        row = rows_of[i]
        _digest(words, used, length, digests[row])
        count = narrow_codes(line, length, k, seen, codes)
        sizes[row] = count
        _hashes(codes, count, hashes, sketches[row])
        _minima(hashes, count, multiply, add, minima)
        _keys(minima, rows, keys, row, bits[row])


@compiled
def _describe_wide(text, starts, rows_of, k, multiply, add, rows, keys, bits, sketches, sizes, digests):  # type: ignore[no-untyped-def]
    """As :func:`_describe_narrow` for uint32 texts."""
    longest = 0
    for i in range(len(rows_of)):
        longest = max(longest, starts[i + 1] - starts[i])
    words = np.zeros(longest // 2 + 1, np.uint64)
    line = words.view(np.uint32)
    codes = np.empty(longest + 4, np.uint64)
    hashes = np.empty(longest + 4, np.uint32)
    seen = np.zeros(SEEN_WORDS, np.uint64)
    table = np.zeros(slots(longest), np.uint64)
    minima = np.empty(len(add), np.uint32)
    for i in range(len(rows_of)):
        length = starts[i + 1] - starts[i]
        used = (length + 1) // 2
        words[used - 1 if used else 0] = ZERO
        line[:length] = text[starts[i] : starts[i + 1]]
        row = rows_of[i]
        _digest(words, used, length, digests[row])
        count = wide_codes(line, length, k, seen, table, codes)
        sizes[row] = count
        _hashes(codes, count, hashes, sketches[row])
        _minima(hashes, count, multiply, add, minima)
        _keys(minima, rows, keys, row, bits[row])


@compiled
def _signature(line, k, multiply, add, minima):  # type: ignore[no-untyped-def]
    """The signature of one uint32 text."""
    codes = np.empty(len(line) + 4, np.uint64)
    hashes = np.empty(len(line) + 4, np.uint32)
    count = wide_codes(line, len(line), k, np.zeros(SEEN_WORDS, np.uint64), np.zeros(slots(len(line)), np.uint64), codes)
    _hashes(codes, count, hashes, np.empty(SKETCH_WORDS, np.uint64))
    _minima(hashes, count, multiply, add, minima)

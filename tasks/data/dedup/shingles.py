"""The distinct shingles of texts, and the texts' digests.

A shingle is ``k`` consecutive code points. For k ≤ 3 its code is the code points packed into 63 bits, 21 each: exact.
Beyond that it is a 62-bit hash of them. Shingles of ASCII alone are looked up in a bit for each of the 2²¹ possible
ones, which is exact and free of branches; all others in a hash table.
Not here: normalisation (text.py), signatures (signatures.py).
"""

from typing import NamedTuple

import numpy as np

from tasks.data.dedup.compiled import compiled
from tasks.data.dedup.text import Lines

SHORT_CODES = 2**21
_U = np.uint64
ZERO = _U(0)
ONE = _U(1)
GOLDEN = _U(0x9E3779B97F4A7C15)
MIX_A = _U(0xBF58476D1CE4E5B9)
MIX_B = _U(0x94D049BB133111EB)
_NOT_ASCII = _U(0x1FFF80) | (_U(0x1FFF80) << _U(21)) | (_U(0x1FFF80) << _U(42))
_LOW, _MIDDLE, _HIGH = _U(127), _U(127 << 7), _U(127 << 14)
_HASHED = _U(0x3FFFFFFFFFFFFFFF)


class Shingles(NamedTuple):
    """``codes`` (uint64) of one text after the other, each text's distinct ones, ``counts`` (int64) of them;
    ``digests`` uint64 (n, 2), 128 bits of each whole text."""

    codes: np.ndarray
    counts: np.ndarray
    digests: np.ndarray


def shingles(lines: Lines, k: int) -> Shingles:
    """The shingles of ``lines``, in their order."""
    kernel = _narrow if lines.flat.dtype == np.uint8 else _wide
    return Shingles(*kernel(lines.flat, lines.begins, lines.lengths, k))


@compiled
def mix(x):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser: a bijection of 64 bits in which every input bit moves every output bit."""
    x = (x ^ (x >> _U(30))) * MIX_A
    x = (x ^ (x >> _U(27))) * MIX_B
    return x ^ (x >> _U(31))


@compiled
def is_short(code, k):  # type: ignore[no-untyped-def]
    """Whether ``code`` is of ASCII alone, so that :func:`shorten` keeps it whole."""
    return k <= 3 and (code & _NOT_ASCII) == ZERO


@compiled
def shorten(code):  # type: ignore[no-untyped-def]
    """21 bits per character to 7: below ``SHORT_CODES``."""
    return (code & _LOW) | ((code >> _U(14)) & _MIDDLE) | ((code >> _U(28)) & _HIGH)


@compiled
def _widen(short):  # type: ignore[no-untyped-def]
    return (short & _LOW) | ((short & _MIDDLE) << _U(14)) | ((short & _HIGH) << _U(28))


@compiled
def _digest(words, length, out):  # type: ignore[no-untyped-def]
    """A 128-bit digest of ``words`` (zero-padded text): two sums of mixed, position-dependent words."""
    low = mix(_U(length) + GOLDEN)
    high = mix(_U(length) ^ MIX_B)
    for j in range(len(words)):
        place = _U(j + 1) * GOLDEN
        low += mix(words[j] ^ place)
        high += mix((words[j] * MIX_A) ^ ~place)
    out[0] = mix(low)
    out[1] = mix(high)


@compiled
def _narrow(flat, begins, lengths, k):  # type: ignore[no-untyped-def]
    """ASCII texts (uint8), k ≤ 3."""
    codes = np.empty(np.sum(lengths) + 1, np.uint64)
    counts = np.empty(len(lengths), np.int64)
    digests = np.empty((len(lengths), 2), np.uint64)
    seen = np.zeros(SHORT_CODES // 64, np.uint64)
    words = np.empty(len(flat) // 8 + 1, np.uint64)
    line = words.view(np.uint8)
    keep = (ONE << _U(7 * k)) - ONE
    count = 0
    for i in range(len(lengths)):
        length = lengths[i]
        used = (length + 7) // 8
        words[max(used, 1) - 1] = ZERO
        for j in range(length):
            line[j] = flat[begins[i] + j]
        _digest(words[:used], length, digests[i])
        first = count
        code = ZERO
        for j in range(min(k - 1, length)):
            code = (code << _U(7)) | _U(line[j])
        for j in range(k - 1, length):
            code = ((code << _U(7)) | _U(line[j])) & keep
            word = seen[code >> _U(6)]
            bit = ONE << (code & _U(63))
            codes[count] = code
            count += (word & bit) == ZERO
            seen[code >> _U(6)] = word | bit
        for j in range(first, count):
            seen[codes[j] >> _U(6)] = ZERO
        for j in range(first, count):
            codes[j] = _widen(codes[j])
        counts[i] = count - first
    return codes[:count], counts, digests


@compiled
def _wide(flat, begins, lengths, k):  # type: ignore[no-untyped-def]
    """Texts of any code points (uint32), any k."""
    codes = np.empty(np.sum(lengths) + 1, np.uint64)
    counts = np.empty(len(lengths), np.int64)
    digests = np.empty((len(lengths), 2), np.uint64)
    seen = np.zeros(SHORT_CODES // 64, np.uint64)
    table = np.zeros(16, np.uint64)
    words = np.empty(len(flat) // 2 + 1, np.uint64)
    line = words.view(np.uint32)
    keep = (ONE << _U(21 * min(k, 3))) - ONE
    count = 0
    for i in range(len(lengths)):
        length = lengths[i]
        used = (length + 1) // 2
        words[max(used, 1) - 1] = ZERO
        for j in range(length):
            line[j] = flat[begins[i] + j]
        _digest(words[:used], length, digests[i])
        slots = _U(16)
        while slots < _U(2 * length):
            slots *= _U(2)
        if slots > _U(len(table)):
            table = np.zeros(slots, np.uint64)
        first = count
        code = ZERO
        tabled = False
        for j in range(length):
            if k <= 3:
                code = ((code << _U(21)) | _U(line[j])) & keep
            if j < k - 1:
                continue
            if k > 3:
                code = ZERO
                for n in range(j - k + 1, j + 1):
                    code = mix(code + GOLDEN + _U(line[n]))
                code &= _HASHED
            if is_short(code, k):
                short = shorten(code)
                word = seen[short >> _U(6)]
                bit = ONE << (short & _U(63))
                codes[count] = code
                count += (word & bit) == ZERO
                seen[short >> _U(6)] = word | bit
                continue
            tabled = True
            slot = mix(code) & (slots - ONE)
            while table[slot] != ZERO and table[slot] != code + ONE:  # zero marks a free slot
                slot = (slot + ONE) & (slots - ONE)
            if table[slot] == ZERO:
                table[slot] = code + ONE
                codes[count] = code
                count += 1
        for j in range(first, count):
            if is_short(codes[j], k):
                seen[shorten(codes[j]) >> _U(6)] = ZERO
        if tabled:
            for j in range(slots):
                table[j] = ZERO
        counts[i] = count - first
    return codes[:count], counts, digests

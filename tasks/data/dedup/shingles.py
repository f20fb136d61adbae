"""Kernels over the shingles of one text: the distinct ones, and how many of them another text shares, exactly.

A shingle is ``k`` consecutive code points. For k ≤ 3 its code is the code points packed into 63 bits, beyond that a 64-bit
hash of them. Shingles of ASCII alone (k ≤ 3) are looked up in ``seen``, a bit for each of the 2²¹ possible ones: exact and
free of branches; all others in ``table``, open addressing over ``slots(length)`` uint64 with zero for a free slot.
Both are zero before and after every use. A text is uint8 (``narrow``: ASCII alone, k ≤ 3) or uint32 (``wide``: anything).
"""

import numpy as np

from tasks.data.dedup.compiled import compiled

SEEN_WORDS = 2**21 // 64
_U = np.uint64
ZERO = _U(0)
ONE = _U(1)
GOLDEN = _U(0x9E3779B97F4A7C15)
MIX_A = _U(0xBF58476D1CE4E5B9)
MIX_B = _U(0x94D049BB133111EB)
_NOT_ASCII = _U(0x1FFF80) | (_U(0x1FFF80) << _U(21)) | (_U(0x1FFF80) << _U(42))
_LOW, _MIDDLE, _HIGH = _U(127), _U(127 << 7), _U(127 << 14)
_ALL = _U(0x7FFFFFFFFFFFFFFF)
_HASHED = _U(0x3FFFFFFFFFFFFFFF)


@compiled
def mix(x):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser: a bijection of 64 bits in which every input bit moves every output bit."""
    x = (x ^ (x >> _U(30))) * MIX_A
    x = (x ^ (x >> _U(27))) * MIX_B
    return x ^ (x >> _U(31))


@compiled
def slots(length):  # type: ignore[no-untyped-def]
    """Slots of the table for a text of ``length`` code points: a power of two, at most half of them taken."""
    count = 16
    while count < 2 * length:
        count *= 2
    return count


@compiled
def _widen(short):  # type: ignore[no-untyped-def]
    """7 bits per character to 21."""
    return (short & _LOW) | ((short & _MIDDLE) << _U(14)) | ((short & _HIGH) << _U(28))


@compiled
def _shorten(code):  # type: ignore[no-untyped-def]
    """21 bits per character to 7."""
    return (code & _LOW) | ((code >> _U(14)) & _MIDDLE) | ((code >> _U(28)) & _HIGH)


@compiled
def _next(code, line, j, k):  # type: ignore[no-untyped-def]
    """The code of the shingle that ends at ``line[j]``, after ``code`` of the one before."""
    if k <= 3:
        keep = _ALL if k == 3 else (ONE << _U(21 * k)) - ONE
        return ((code << _U(21)) | _U(line[j])) & keep
    code = ZERO
    for i in range(max(0, j - k + 1), j + 1):
        code = mix(code + GOLDEN + _U(line[i]))
    return code & _HASHED


@compiled
def narrow_codes(line, length, k, seen, codes):  # type: ignore[no-untyped-def]
    """Write the distinct codes of ``line[:length]`` (uint8) to ``codes`` (uint64, ``length`` + 1); return their number."""
    count = 0
    code = ZERO
    keep = (ONE << _U(7 * k)) - ONE
    for j in range(min(k - 1, length)):
        code = (code << _U(7)) | _U(line[j])
    for j in range(k - 1, length):
        code = ((code << _U(7)) | _U(line[j])) & keep
        word = seen[code >> _U(6)]
        bit = ONE << (code & _U(63))
        codes[count] = code
        count += (word & bit) == ZERO
        seen[code >> _U(6)] = word | bit
    for j in range(count):
        seen[codes[j] >> _U(6)] = ZERO
    for j in range(count):
        codes[j] = _widen(codes[j])
    return count


@compiled
def wide_codes(line, length, k, seen, table, codes):  # type: ignore[no-untyped-def]
    """As :func:`narrow_codes` for a text of any code points (uint32) and any ``k``."""
    count = 0
    code = ZERO
    mask = _U(slots(length) - 1)
    others = False
    for j in range(min(k - 1, length)):
        code = _next(code, line, j, k)
    for j in range(k - 1, length):
        code = _next(code, line, j, k)
        if k <= 3 and (code & _NOT_ASCII) == ZERO:
            short = _shorten(code)
            word = seen[short >> _U(6)]
            bit = ONE << (short & _U(63))
            codes[count] = code
            count += (word & bit) == ZERO
            seen[short >> _U(6)] = word | bit
            continue
        others = True
        slot = mix(code) & mask
        while table[slot] != ZERO and table[slot] != code + ONE:
            slot = (slot + ONE) & mask
        if table[slot] == ZERO:
            table[slot] = code + ONE
            codes[count] = code
            count += 1
    if k <= 3:
        for j in range(count):
            if (codes[j] & _NOT_ASCII) == ZERO:
                seen[_shorten(codes[j]) >> _U(6)] = ZERO
    if others:
        table[: slots(length)] = ZERO
    return count


@compiled
def insert(line, length, k, seen, table):  # type: ignore[no-untyped-def]
    """Make ``seen`` and ``table`` the shingle set of ``line[:length]`` (uint8 or uint32); undone by :func:`remove`."""
    code = ZERO
    mask = _U(slots(length) - 1)
    for j in range(length):
        code = _next(code, line, j, k)
        if j < k - 1:
            continue
        if k <= 3 and (code & _NOT_ASCII) == ZERO:
            short = _shorten(code)
            seen[short >> _U(6)] |= ONE << (short & _U(63))
            continue
        slot = mix(code) & mask
        while table[slot] != ZERO and table[slot] != code + ONE:
            slot = (slot + ONE) & mask
        table[slot] = code + ONE


@compiled
def remove(line, length, k, seen, table):  # type: ignore[no-untyped-def]
    """Make ``seen`` and ``table`` zero again after ``insert`` of the same text."""
    code = ZERO
    others = k > 3
    for j in range(length):
        code = _next(code, line, j, k)
        if k <= 3 and (code & _NOT_ASCII) == ZERO:
            seen[_shorten(code) >> _U(6)] = ZERO
        else:
            others = True
    if others:
        table[: slots(length)] = ZERO


@compiled
def common(line, length, k, seen, table, table_length, hits):  # type: ignore[no-untyped-def]
    """How many distinct shingles of ``line[:length]`` are in the inserted set, whose text has ``table_length`` code points.

    A shingle that was found is taken out, so that it counts once, noted in ``hits`` (uint64) and put back at the end.
    In the table the taken-out ones are marked by their complement, which is no code.
    """
    count = 0
    code = ZERO
    mask = _U(slots(table_length) - 1)
    for j in range(length):
        code = _next(code, line, j, k)
        if j < k - 1:
            continue
        if k <= 3 and (code & _NOT_ASCII) == ZERO:
            short = _shorten(code)
            word = seen[short >> _U(6)]
            bit = ONE << (short & _U(63))
            hits[count] = code
            count += (word & bit) != ZERO
            seen[short >> _U(6)] = word & ~bit
            continue
        slot = mix(code) & mask
        while table[slot] != ZERO and table[slot] != code + ONE and table[slot] != ~(code + ONE):
            slot = (slot + ONE) & mask
        if table[slot] == code + ONE:
            table[slot] = ~(code + ONE)
            hits[count] = code
            count += 1
    for j in range(count):
        code = hits[j]
        if k <= 3 and (code & _NOT_ASCII) == ZERO:
            short = _shorten(code)
            seen[short >> _U(6)] |= ONE << (short & _U(63))
            continue
        slot = mix(code) & mask
        while table[slot] != ~(code + ONE):
            slot = (slot + ONE) & mask
        table[slot] = code + ONE
    return count

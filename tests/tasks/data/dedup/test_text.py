"""Normalisation in bulk is Python's own ``strip`` and ``lower``."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.dedup.text import CASED_BELOW, SPECIAL, chunk, lower_table

LETTERS = st.text(st.one_of(st.sampled_from("aBZ @[`{\t\x1c\x1f\x85\xa0\u2003\u3000éÉßẞıİΣσςK\ud800𐐀😀語"), st.characters(codec=None)), max_size=20)


@settings(max_examples=300, deadline=None)
@given(st.lists(LETTERS, max_size=8), st.integers(1, 5))
def test_every_text_comes_back_as_python_normalises_it(texts: list[str], shingle: int) -> None:
    found = {}
    for lines in chunk(texts, 100, shingle):
        for begin, length, row in zip(lines.begins, lines.lengths, lines.rows, strict=True):
            points = lines.flat[begin : begin + length].astype(np.uint32)
            found[int(row)] = points.tobytes().decode("utf-32-le", "surrogatepass")
            assert lines.flat.dtype == (np.uint8 if found[int(row)].isascii() and shingle <= 3 else np.uint32)
    assert found == {row: text.strip().lower() for row, text in enumerate(texts, 100)}


def test_the_table_has_every_lower_case() -> None:
    table = lower_table()
    assert [point for point in range(CASED_BELOW) if chr(point) not in SPECIAL and chr(table[point]) != chr(point).lower()] == []
    assert all(chr(point).lower() == chr(point) for point in range(CASED_BELOW, 0x110000))
    assert {chr(point) for point in range(128, 0x110000) if chr(point).lower().isascii()} <= set(SPECIAL)
    assert (table[table[table < CASED_BELOW]] == table).all(), "lower case stays as it is"

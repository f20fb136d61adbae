"""Normalisation in bulk is Python's own ``strip`` and ``lower``; folding in bulk is that of one text."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.dedup.near import deduplicate
from tasks.data.dedup.text import CASED_BELOW, SPECIAL, STRETCH, chunk, folded, lower_table

LETTERS = st.text(
    st.one_of(
        st.sampled_from("aBZ @[`{\t\x1c\x1f\x85\xa0\u2003\u3000éÉßẞıİΣσςK\ud800𐐀😀語"), st.characters(codec=None)
    ),
    max_size=20,
)


SEEN = "The tide follows the moon:\nthere are two."
COPIES = (
    "The\u00a0tide\u2009follows\u3000the\tmoon:\nthere are two.",
    "The  tide  follows  the moon: \r\n\n  there are two.",
    "\ufeffThe\u200b ti\u00adde\u200d follows\u2060 the moon:\u2028there are two.",
)
SHORT = st.text(st.sampled_from("aB é\t\n\r\x00\x0b\x1c\x85\xa0\u2009\u2028\u200b\u0301e"), max_size=24)
PLAIN = st.integers(STRETCH - 3, 2 * STRETCH + 3).map(
    lambda length: ("word " * length)[:length]
)  # what is moved at once
SPACED = st.one_of(
    SHORT, st.lists(st.one_of(SHORT, PLAIN, st.sampled_from([" ", "\n\n", "\t"])), max_size=6).map("".join)
)


def test_copies_that_look_alike_are_one_folded() -> None:
    assert {folded(copy) for copy in COPIES} == {SEEN}
    assert folded("cafe\u0301") == folded("caf\u00e9")
    for one, other in (("10\u00b2", "102"), ("ﬁ", "fi"), ("a b", "ab"), ("a\nb", "a b"), ("“a”", '"a"')):
        assert folded(one) != folded(other), "what can be seen stays"
    report = deduplicate([SEEN, *COPIES], fold=True, threshold=1.0)
    assert (len(report.kept), report.exact_duplicates) == (1, 3)
    assert len(deduplicate([SEEN, *COPIES], threshold=1.0).kept) == 4


@settings(max_examples=300, deadline=None)
@given(st.lists(SPACED, max_size=8), st.integers(1, 5))
def test_bytes_and_code_points_are_folded_alike(texts: list[str], shingle: int) -> None:
    found = {}
    for lines in chunk(texts, 0, shingle, fold=True):
        for begin, length, row in zip(lines.begins, lines.lengths, lines.rows, strict=True):
            found[int(row)] = lines.flat[begin : begin + length].astype(np.uint32).tobytes().decode("utf-32-le")
    assert found == {
        row: folded(text).strip().lower() if shingle > 3 or not text.isascii() else folded(text.strip()).lower()
        for row, text in enumerate(texts)
    }


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
    assert [
        point for point in range(CASED_BELOW) if chr(point) not in SPECIAL and chr(table[point]) != chr(point).lower()
    ] == []
    assert all(chr(point).lower() == chr(point) for point in range(CASED_BELOW, 0x110000))
    assert {chr(point) for point in range(128, 0x110000) if chr(point).lower().isascii()} <= set(SPECIAL)
    assert (table[table[table < CASED_BELOW]] == table).all(), "lower case stays as it is"

"""Hashed n-grams: the same on every machine, vectorised as by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.routing import ngrams

MASK = (1 << 64) - 1


def by_hand(text: str, sizes: list[int]) -> list[int]:
    data = f" {text.lower()} ".encode()
    found = []
    for size in sizes:
        for start in range(len(data) - size + 1):
            value = size
            for byte in data[start : start + size]:
                value = (value * 0x100000001B3 + byte) & MASK
            value = ((value ^ (value >> 29)) * 0x9E3779B97F4A7C15) & MASK
            found.append(value ^ (value >> 32))
    return found


@given(st.text(max_size=40), st.lists(st.integers(1, 6), max_size=3))
def test_hashes_are_those_of_the_definition(text: str, sizes: list[int]) -> None:
    assert ngrams.hashes(text, sizes).tolist() == by_hand(text, sizes)


@given(st.text(max_size=200), st.integers(64, 5000))
def test_buckets_are_distinct_within_range_and_of_length_one(text: str, count: int) -> None:
    index, weight = ngrams.buckets(text, (3, 4), count)
    assert len(set(index.tolist())) == len(index) == len(weight)
    assert all(0 <= i < count for i in index)
    assert not len(weight) or np.linalg.norm(weight) == pytest.approx(1, abs=1e-5)


@given(st.text(max_size=200), st.integers(0, 90))
def test_a_folded_text_has_its_width_and_length_one(text: str, width: int) -> None:
    vector = ngrams.folded(text, (3, 4), width)
    assert vector.shape == (width,)
    norm = float(np.linalg.norm(vector))
    assert norm == pytest.approx(1, abs=1e-5) or norm == 0


@given(st.text(max_size=300), st.integers(2, 100))
def test_an_excerpt_keeps_both_ends(text: str, characters: int) -> None:
    read = ngrams.excerpt(text, characters)
    half = characters // 2
    assert len(read) <= characters + 1
    assert (
        (read == text)
        if len(text) <= characters
        else (read[:half], read[len(read) - half :]) == (text[:half], text[len(text) - half :])
    )

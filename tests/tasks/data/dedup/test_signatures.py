"""Shingles, signatures and sketches against Python sets and datasketch."""

import random

import numpy as np
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.dedup.shingles import is_short, shingles, shorten
from tasks.data.dedup.signatures import banding, describe, joined, nothing_described, signatures
from tasks.data.dedup.text import chunk
from tests.tasks.data.dedup import brute

TEXTS = st.lists(st.text(st.sampled_from("ab c\néß語😀"), max_size=40), min_size=1, max_size=10)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(1, 3))
def test_codes_are_the_distinct_shingles(texts: list[str], k: int) -> None:
    for lines in chunk(texts, 0, k):
        found = shingles(lines, k)
        for row, codes in zip(
            lines.rows, np.split(found.codes, np.cumsum(found.counts)[:-1]) if len(lines.rows) else [], strict=True
        ):
            decoded = ["".join(chr(int(code) >> 21 * (k - 1 - i) & 0x1FFFFF) for i in range(k)) for code in codes]
            assert len(decoded) == len(set(decoded))
            assert set(decoded) == brute.shingles(texts[row], k)
            for text, code in zip(decoded, codes, strict=True):
                assert is_short(code, k) == text.isascii()
                if text.isascii():
                    assert shorten(code) == sum(ord(c) << 7 * (k - 1 - i) for i, c in enumerate(text))


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_digests_tell_texts_apart_and_long_shingles_are_counted(texts: list[str]) -> None:
    how = banding(64, 8, 8, 5, 0)
    out = nothing_described(len(texts), how)
    describe(chunk(texts, 0, 5), how, out)
    plain = [text.strip().lower() for text in texts]
    assert len({tuple(digest) for digest in out.digests.tolist()}) == len(set(plain))
    assert out.sizes.tolist() == [len(brute.shingles(text, 5)) for text in texts]


def test_a_wide_and_a_narrow_text_share_the_codes_of_what_they_share() -> None:
    how = banding(128, 16, 8, 3, 0)
    one, other = signatures(chunk(["the quick brown fox", "the quick brown foxé"], 0, 3), how)
    sets = brute.shingles("the quick brown fox"), brute.shingles("the quick brown foxé")
    assert abs(np.mean(one == other) - brute.jaccard(*sets)) < 0.1


def test_estimates_are_distributed_as_those_of_datasketch() -> None:
    noise = random.Random(0)
    words = [f"{noise.randrange(10**6):x}" for _ in range(500)]
    pairs = []
    for _ in range(300):
        text = [noise.choice(words) for _ in range(60)]
        pairs.append((" ".join(text), " ".join(noise.choice(words) if noise.random() < 0.1 else word for word in text)))
    exact = np.array([brute.jaccard(brute.shingles(one), brute.shingles(other)) for one, other in pairs])
    values = signatures(chunk([text for pair in pairs for text in pair], 0, 3), banding(128, 16, 8, 3, 0))
    ours = np.mean(values[::2] == values[1::2], axis=1) - exact
    reference = []
    for pair in pairs:
        one, other = MinHash.bulk(
            [[shingle.encode() for shingle in brute.shingles(text)] for text in pair], num_perm=128
        )
        reference.append(one.jaccard(other))
    theirs = np.array(reference) - exact
    expected = np.sqrt(np.mean(exact * (1 - exact)) / 128)
    assert abs(ours.mean()) < 4 * expected / np.sqrt(len(pairs)), "no bias"
    assert abs(theirs.mean()) < 4 * expected / np.sqrt(len(pairs))
    assert 0.8 * theirs.std() < ours.std() < 1.2 * theirs.std()
    assert ours.std() < 1.15 * expected


def test_bit_sketches_differ_by_half_of_what_the_texts_differ() -> None:
    noise = random.Random(1)
    words = [f"{noise.randrange(10**6):x}" for _ in range(300)]
    texts = [" ".join(noise.choices(words, k=40)) for _ in range(60)]
    how = banding(128, 16, 8, 3, 0)
    out = nothing_described(len(texts), how)
    describe(chunk(texts, 0, 3), how, out)
    sets = [brute.shingles(text) for text in texts]
    errors = []
    for i in range(len(texts)):
        for j in range(i):
            differing = int(np.bitwise_count(out.bits[i] ^ out.bits[j]).sum())
            errors.append(differing / 128 - (1 - brute.jaccard(sets[i], sets[j])) / 2)
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 1.3 * np.sqrt(0.25 / 128)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_odd_sketches_never_differ_in_more_bits_than_the_texts_in_shingles(texts: list[str]) -> None:
    how = banding(64, 8, 8, 3, 0)
    out = nothing_described(len(texts), how)
    describe(chunk(texts, 0, 3), how, out)
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            apart = len(brute.shingles(one) ^ brute.shingles(other))
            bits = int(np.bitwise_count(out.sketches[i] ^ out.sketches[j]).sum())
            assert bits <= apart
            assert (bits - apart) % 2 == 0
            if apart == 0:
                assert (out.keys[:, i] == out.keys[:, j]).all()
                assert (out.bits[i] == out.bits[j]).all()


def test_parts_are_joined_in_order() -> None:
    how = banding(64, 8, 8, 3, 0)
    texts = [f"text number {i}" for i in range(7)]
    whole = nothing_described(7, how)
    describe(chunk(texts, 0, 3), how, whole)
    parts = []
    for first in (0, 3, 5):
        part = nothing_described(len(texts[first : first + 3][: 2 if first == 3 else 3]), how)
        describe(chunk(texts[first : first + len(part.sizes)], 0, 3), how, part)
        parts.append(part)
    for column, expected in zip(joined(parts, how), whole, strict=True):
        assert (column == expected).all()
    assert parts == []
    assert len(joined([], how).sizes) == 0

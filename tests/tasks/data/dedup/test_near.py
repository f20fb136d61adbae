"""``deduplicate`` against its definition and against brute force."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadInput
from tasks.data.dedup.near import Dedup, deduplicate
from tests.tasks.data.dedup.brute import jaccard, shingles, similar

WORDS = [
    "sort",
    "the",
    "list",
    "of",
    "numbers",
    "in",
    "ascending",
    "order",
    "and",
    "return",
    "it",
    "quickly",
    "café",
    "naïve",
    "東京",
    "タワー",
    "ΣΟΦΟΣ",
    "İstanbul",
]


@st.composite
def documents(draw: st.DrawFn) -> list[str]:
    """Texts of a few words, with copies, near copies, other cases and other white space."""
    base = draw(
        st.lists(st.lists(st.sampled_from(WORDS), min_size=0, max_size=25).map(" ".join), min_size=1, max_size=8)
    )
    noise = random.Random(draw(st.integers(0, 2**32)))
    texts = list(base)
    for _ in range(draw(st.integers(0, 12))):
        words = noise.choice(base).split(" ")
        words[noise.randrange(len(words))] = noise.choice(WORDS)
        text = " ".join(words)
        texts.append(noise.choice([text, text.upper(), f" {text}\n"]))
    return texts


def outcome(texts: list[str], qualities: list[float], result: Dedup) -> tuple[Counter[object], Counter[object]]:
    """The result without positions."""
    kept = Counter((texts[i], qualities[i]) for i in result.kept)
    dropped = Counter(
        (texts[d.dropped], qualities[d.dropped], texts[d.keeper], qualities[d.keeper], d.jaccard)
        for d in result.duplicates
    )
    return kept, dropped  # type: ignore[return-value]


@settings(max_examples=150, deadline=None)
@given(documents(), st.randoms(use_true_random=False), st.sampled_from(["star", "single"]), st.integers(1, 5))
def test_order_and_threads_do_not_matter(texts: list[str], noise: random.Random, linkage: str, shingle: int) -> None:
    rows = [(text, float(noise.randrange(3))) for text in texts]
    first = outcome(
        *map(list, zip(*rows, strict=True)),
        deduplicate(*zip(*rows, strict=True), linkage=linkage, shingle=shingle, threads=1),
    )  # type: ignore[arg-type]
    noise.shuffle(rows)
    again = outcome(
        *map(list, zip(*rows, strict=True)),
        deduplicate(*zip(*rows, strict=True), linkage=linkage, shingle=shingle, threads=noise.randint(1, 4)),
    )  # type: ignore[arg-type]
    assert first == again


@settings(max_examples=150, deadline=None)
@given(documents(), st.randoms(use_true_random=False), st.integers(1, 5), st.sampled_from([0.5, 0.8, 1.0]))
def test_the_promises_of_a_result(texts: list[str], noise: random.Random, shingle: int, threshold: float) -> None:
    qualities = [float(noise.randrange(3)) for _ in texts]
    sets = [shingles(text, shingle) for text in texts]
    plain = [text.strip().lower() for text in texts]
    for linkage in ("star", "single"):
        result = deduplicate(texts, qualities, linkage=linkage, shingle=shingle, threshold=threshold)  # type: ignore[arg-type]
        assert sorted([*result.kept, *(d.dropped for d in result.duplicates)]) == list(range(len(texts)))
        assert result.exact_duplicates == len(texts) - len(set(plain))
        assert result.near_duplicates == len(result.duplicates) - result.exact_duplicates
        assert result.clusters == len({d.keeper for d in result.duplicates})
        assert {d.keeper for d in result.duplicates} <= set(result.kept)
        for d in result.duplicates:
            expected = 1.0 if plain[d.dropped] == plain[d.keeper] else jaccard(sets[d.dropped], sets[d.keeper])
            assert d.jaccard == expected, "the Jaccard is exact"
            assert qualities[d.keeper] >= qualities[d.dropped]
            if linkage == "star":
                assert d.jaccard >= threshold


@settings(max_examples=60, deadline=None)
@given(documents(), st.randoms(use_true_random=False))
def test_with_rows_of_one_the_candidates_are_all_and_the_result_is_the_definition(
    texts: list[str], noise: random.Random
) -> None:
    qualities = [float(noise.randrange(3)) for _ in texts]
    pairs = similar(texts, 0.6)
    partner = {(a, b) for a, b in pairs} | {(b, a) for a, b in pairs}
    plain = [text.strip().lower() for text in texts]
    star = deduplicate(texts, qualities, threshold=0.6, bands=128, rows=1)
    kept = set(star.kept)
    for a in kept:
        assert not any(b in kept for b in range(len(texts)) if (a, b) in partner), "no two kept are similar"
    single = deduplicate(texts, qualities, threshold=0.6, bands=128, rows=1, linkage="single")
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for a in range(len(texts)):
        for b in range(a):
            if (a, b) in partner or plain[a] == plain[b]:
                parent[root(a)] = root(b)
    components = {}
    for i in range(len(texts)):
        components.setdefault(root(i), []).append(i)
    assert len(single.kept) == len(components)
    keeper = {d.dropped: d.keeper for d in single.duplicates}
    for members in components.values():
        assert len({keeper.get(i, i) for i in members}) == 1
        assert qualities[keeper.get(members[0], members[0])] == max(qualities[i] for i in members)


def test_a_chain_is_one_cluster_for_single_and_two_for_star() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".lower()[:36]
    chain = [letters[i : i + 30] for i in range(0, 7, 3)]
    assert set(similar(chain, 0.8)) == {(0, 1), (1, 2)}
    options = {"bands": 128, "rows": 1}
    single = deduplicate(chain, [3.0, 2.0, 1.0], linkage="single", **options)  # type: ignore[arg-type]
    assert single.kept == [0]
    assert single.duplicates[1].jaccard < 0.8, "the far end is reported with its true similarity"
    assert deduplicate(chain, [3.0, 2.0, 1.0], **options).kept == [0, 2]  # type: ignore[arg-type]
    assert deduplicate(chain, [1.0, 2.0, 1.0], **options).kept == [1]  # type: ignore[arg-type]


def test_texts_without_a_shingle_are_only_ever_copies() -> None:
    result = deduplicate(["", " ", "a", "A", "b", "ab", "ba", "é", "\n"])
    assert result.kept == [0, 3, 4, 5, 6, 7]
    assert (result.exact_duplicates, result.near_duplicates, result.clusters) == (3, 0, 2)
    assert deduplicate([]) == Dedup([], [], 0, 0, 0)


def test_a_lone_surrogate_and_a_lower_case_that_becomes_ascii() -> None:
    kelvin = "the temperature is 300 \u212a today"
    assert deduplicate([kelvin, kelvin.replace("\u212a", "k")]).exact_duplicates == 1
    assert deduplicate(["a \ud800 b", "a \ud800 b"]).exact_duplicates == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"bands": 20}, "20 bands of 8 rows"),
        ({"shingle": 0}, "shingle is 0"),
        ({"linkage": "x"}, "linkage is 'x'"),
    ],
)
def test_what_means_nothing_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        deduplicate(["a", "b"], **changed)  # type: ignore[arg-type]


def test_texts_must_be_strings() -> None:
    for wrong in ("one string", ["a", None], [b"a"]):
        with pytest.raises(BadInput, match="not a sequence of strings"):
            deduplicate(wrong)  # type: ignore[arg-type]


def test_qualities_must_be_finite_and_one_per_text() -> None:
    with pytest.raises(BadInput, match="2 texts need 2 finite qualities"):
        deduplicate(["a", "b"], [1.0])
    with pytest.raises(BadInput, match="1 of them not finite"):
        deduplicate(["a", "b"], [1.0, float("nan")])

"""Real text: recall and precision against every pair compared exactly."""

import random

import pytest

from tasks.data.dedup.near import deduplicate
from tests.tasks.data.dedup import brute, corpora

pytestmark = pytest.mark.skipif(not corpora.there(), reason=corpora.MISSING)


def edited(texts: list[str], noise: random.Random) -> list[str]:
    """A copy of each with 1 to 12% of the words replaced: pairs around the threshold."""
    words = [word for text in texts for word in text.split()]

    def edit(text: str) -> str:
        share = noise.uniform(0.01, 0.12)
        return " ".join(noise.choice(words) if noise.random() < share else word for word in text.split())

    return [edit(text) for text in texts]


@pytest.mark.slow
def test_recall_and_precision_on_alpaca_and_dolly_with_edited_copies() -> None:
    noise = random.Random(0)
    texts = noise.sample(corpora.texts(), 1500)
    texts += edited(texts, noise)
    pairs = brute.similar(texts, 0.8)
    found = brute.proposed(texts)
    clear = [pair for pair, value in pairs.items() if value >= 0.85]
    near = [pair for pair, value in pairs.items() if value < 0.85]
    assert len(clear) > 400
    assert len(near) > 200
    assert sum(pair in found for pair in clear) / len(clear) >= 0.99
    assert sum(pair in found for pair in near) / len(near) >= 0.94
    result = deduplicate(texts)
    for dropped, keeper, jaccard in result.duplicates:
        assert pairs[min(dropped, keeper), max(dropped, keeper)] == jaccard, "nothing is dropped wrongly"
    missed = [pair for pair in clear if set(pair) <= set(result.kept)]
    assert len(missed) <= 0.01 * len(clear)


@pytest.mark.slow
def test_all_of_alpaca_and_dolly() -> None:
    texts = corpora.texts()
    result = deduplicate(texts)
    assert len(texts) == 67_013
    assert result.exact_duplicates == len(texts) - len({text.strip().lower() for text in texts})
    assert 380 < result.near_duplicates < 430
    reversed_result = deduplicate(texts[::-1], threads=1)
    assert sorted(texts[i] for i in result.kept) == sorted(texts[len(texts) - 1 - i] for i in reversed_result.kept)

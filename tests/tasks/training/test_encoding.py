"""Token ids, loss masks, packing and batch order."""

from collections import Counter
from itertools import pairwise
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from blocks.models import template
from blocks.models.encoding import Encoder
from blocks.models.template import LLAMA
from blocks.rehearsal import world
from tasks.training.encoding import IGNORE, Encoded, bucketed_order, encode, packed, padded

lengths = st.lists(st.integers(1, 20), min_size=1, max_size=60)


def made(sizes: list[int]) -> list[Encoded]:
    """Examples of given lengths whose ids say which example and which place."""
    return [
        Encoded(
            [1000 * (i + 1) + j for j in range(n)], [IGNORE if j < n // 2 else 1000 * (i + 1) + j for j in range(n)]
        )
        for i, n in enumerate(sizes)
    ]


@given(lengths)
def test_packing_keeps_every_example_whole_and_once(sizes: list[int]) -> None:
    ids, labels, positions = packed(made(sizes), 20, pad=0)
    found = []
    for row, places, wanted in zip(ids.tolist(), positions.tolist(), labels.tolist(), strict=True):
        starts = [i for i, place in enumerate(places) if place == 0] + [len(row)]
        for start, end in pairwise(starts):
            assert places[start:end] == list(range(end - start))
            if row[start]:
                found.append(Encoded(row[start:end], wanted[start:end]))
            else:
                assert not any(row[start:end])
                assert set(wanted[start:end]) == {IGNORE}
    assert sorted(found) == sorted(made(sizes))
    assert ids.shape[0] <= len(sizes)


def test_packed_examples_do_not_see_each_other(model: Any, tokenizer: Any) -> None:
    from pathlib import Path

    from blocks.models.load import load_model

    loaded = load_model(Path(model.uri), device="cpu", dtype="float32")
    examples = encode(
        world.examples("math", "easy", "train", 5, 0), Encoder(tokenizer, LLAMA), max_length=96, close=True
    )
    ids, _, positions = packed(examples, 96, tokenizer.pad_token_id)
    row, places = ids[:1], positions[:1]
    together = loaded(input_ids=row, position_ids=places, use_cache=False).logits[0]
    starts = [i for i, place in enumerate(places[0].tolist()) if place == 0] + [96]
    assert len(starts) > 3
    for start, end in pairwise(starts):
        alone = loaded(input_ids=row[:, start:end], use_cache=False).logits[0]
        torch.testing.assert_close(together[start:end], alone, atol=2e-5, rtol=1e-4)


@given(lengths, st.integers(1, 8), st.integers(1, 200), st.integers(0, 3))
def test_the_batch_order_repeats_whole_passes(sizes: list[int], batch: int, rows: int, seed: int) -> None:
    order = bucketed_order(sizes, batch, rows, seed)
    assert len(order) == rows
    counts = Counter(order)
    assert set(counts) <= set(range(len(sizes)))
    assert max(counts.values()) - min(counts[i] for i in range(len(sizes))) <= 1
    assert order == bucketed_order(sizes, batch, rows, seed)


def test_batches_hold_examples_of_similar_length() -> None:
    sizes = [1 + i % 40 for i in range(400)]
    order = bucketed_order(sizes, 8, 400, 0)
    spread = [
        max(part) - min(part) for part in ([sizes[i] for i in order[start : start + 8]] for start in range(0, 400, 8))
    ]
    assert sum(spread) / len(spread) < 3
    assert [sizes[i] for i in order] != sorted(sizes)


def test_the_loss_falls_on_the_assistants_sections_only(tokenizer: Any) -> None:
    example = world.examples("math", "hard", "train", 1, 0)[0]
    encoder = Encoder(tokenizer, LLAMA)
    (opened,) = encode([example], encoder, max_length=500, close=False)
    (closed,) = encode([example], encoder, max_length=500, close=True)
    learned = tokenizer.decode([label for label in opened.labels if label != IGNORE])
    assert learned == f"<draft>{example.draft}</draft><thinking>{example.thinking}</thinking>{example.response}"
    assert tokenizer.decode(opened.ids) == LLAMA.prompt(example.prompt) + learned
    end = tokenizer.convert_tokens_to_ids(template.END)
    assert closed == Encoded([*opened.ids, end], [*opened.labels, end])
    assert encode([example], encoder, max_length=len(opened.ids), close=False)
    assert not encode([example], encoder, max_length=len(opened.ids) - 1, close=False)


def test_padding_is_on_the_right_and_ignored() -> None:
    ids, labels = padded(made([2, 4]), pad=7)
    assert ids.tolist() == [[1000, 1001, 7, 7], [2000, 2001, 2002, 2003]]
    assert labels.tolist() == [[IGNORE, 1001, IGNORE, IGNORE], [IGNORE, IGNORE, 2002, 2003]]

"""SentencePiece vocabularies: scores say what ranked pairs say; what no scores can say is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.models import sentencepiece
from blocks.models.sentencepiece import BYTES
from configs.errors import BadInput

WHERE = Path("tokenizer.json")
TOKENS = ["a", "b", "c", "ab", "bc", "abc", *BYTES]
MERGES = ["a b", "b c", "a bc", "ab c"]


def test_a_token_that_is_joined_earlier_has_the_higher_score() -> None:
    scores = sentencepiece.scores(TOKENS, {*TOKENS[:6]}, MERGES, WHERE)
    by_token = dict(zip(TOKENS, scores, strict=True))
    assert by_token["ab"] > by_token["bc"] > by_token["abc"] > by_token["a"]


def test_runs_of_one_character_may_share_a_score() -> None:
    tokens = ["_", "__", "___", "____", *BYTES]
    merges = ["___ _", "__ __", "__ _", "_ ___", "_ __", "_ _"]
    scores = sentencepiece.scores(tokens, {*tokens[:4]}, merges, WHERE)
    assert scores[3] == scores[2] > scores[1] > scores[0]


@pytest.mark.parametrize(
    ("tokens", "merges", "match"),
    [
        (TOKENS, MERGES[:3], "lacks the pair 'ab' 'c'"),
        (TOKENS, ["a b", "a bc", "b c", "ab c"], "pairs that make token 'bc' do not stand together"),
        (TOKENS, [*MERGES, "a c"], "token 'ac' do not stand together .* or it is no token"),
        (TOKENS[:-1], MERGES, "token <0xFF> is missing"),
    ],
)
def test_what_llama_cpp_would_join_otherwise_is_refused(tokens: list[str], merges: list[str], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        sentencepiece.scores(tokens, {*tokens[:6]}, merges, WHERE)


@given(st.sets(st.sampled_from(["\n", "\t", "\r", "\x01", "a\n", "b"])))
def test_the_lone_character_is_in_no_token(tokens: set[str]) -> None:
    assert not any(sentencepiece.lone(tokens, WHERE) in token for token in tokens)


@pytest.mark.parametrize(
    ("normalizer", "pre", "space"),
    [
        ([{"type": "Prepend", "prepend": "▁"}, sentencepiece._REPLACE], None, "everywhere"),
        ([sentencepiece._REPLACE], None, "nowhere"),
        (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}, "first"),
        (None, {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "split": False}, "everywhere"),
        (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, None),
        ([{"type": "NFKC"}, sentencepiece._REPLACE], None, None),
        (None, None, None),
    ],
)
def test_where_a_tokenizer_puts_spaces_is_read_or_refused(normalizer: object, pre: object, space: str | None) -> None:
    tokenizer = {
        "normalizer": {"type": "Sequence", "normalizers": normalizer} if normalizer else None,
        "pre_tokenizer": pre,
    }
    if space is None:
        with pytest.raises(BadInput, match="cannot read texts as this SentencePiece tokenizer does"):
            sentencepiece.reading(tokenizer, TOKENS, WHERE)
    else:
        assert sentencepiece.reading(tokenizer, TOKENS, WHERE).space == space

"""A quality heuristic for records that no teacher scored: which of many public records are worth keeping.

0–10 from five signs of a careful answer, equally weighted. It ranks records of one source among themselves; it is not
the judge's score and says nothing about whether an answer is right.
"""

import math
import re

from tasks.data.collect.pair import Pair

_WORD = re.compile(r"\w+")
_END = (".", "!", "?", ")", "]", "}", '"', "'", "`", ":", "。", ">")


def quality(pair: Pair) -> float:
    """0 (careless) to 10."""
    asked, said = _WORD.findall(pair.prompt.lower()), _WORD.findall(f"{pair.thinking or ''} {pair.response}".lower())
    signs = (
        _said_enough(len(said)),
        _asked_clearly(len(asked)),
        _varied(said),
        _own_words(asked, said),
        _finished(pair),
    )
    return round(10 * sum(signs) / len(signs), 2)


def _said_enough(words: int) -> float:
    """Grows with the logarithm of the length up to 60 words; beyond 600 it falls again."""
    grown = min(1.0, math.log1p(words) / math.log1p(60))
    return grown if words <= 600 else max(0.3, grown * 600 / words)


def _asked_clearly(words: int) -> float:
    """A prompt of fewer than six words hardly says what is wanted."""
    return min(1.0, words / 6)


def _varied(said: list[str]) -> float:
    """Different words among the first hundred, against what prose has (about 65%)."""
    first = said[:100]
    return min(1.0, len(set(first)) / len(first) / 0.65) if first else 0.0


def _own_words(asked: list[str], said: list[str]) -> float:
    """One minus the share of the answer's word triples that stand in the prompt."""
    triples = set(zip(said, said[1:], said[2:], strict=False))
    if not triples:
        return 1.0
    return 1 - len(triples & set(zip(asked, asked[1:], asked[2:], strict=False))) / len(triples)


def _finished(pair: Pair) -> float:
    """A long answer that stops in the middle of a sentence was cut off."""
    response = pair.response.rstrip()
    return 1.0 if len(response) < 80 or response.endswith(_END) else 0.4

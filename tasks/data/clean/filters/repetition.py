"""Text that repeats itself, as sampling gone astray does. Measures after Gopher (Rae et al. 2021, arXiv 2112.11446,
table A1)."""

import re
from collections import Counter

from configs.phases.filtering import Repetition
from tasks.data.clean.filters.text import Text

_RULE = re.compile(r"^[\s\-=_*#|+.~`:]+$")


def repetition(text: Text, settings: Repetition) -> str | None:
    """Repeated lines, one dominating 4-gram, or one character over and over, in what the model would learn to say."""
    answer = text.answer
    run = longest_run(answer)
    if run > settings.run:
        return f"a run of {run} equal characters"
    words = answer.split()
    if len(words) < settings.words:
        return None
    share = repeated_line_share(answer)
    if share > settings.line_share:
        return f"{share:.0%} of the characters in repeated lines"
    share = top_gram_share(words, 4)
    return f"{share:.0%} of the characters in one 4-gram" if share > settings.four_gram_share else None


def longest_run(text: str) -> int:
    """The longest run of one letter or digit; rules and table borders do not count."""
    longest, run, last = 0, 0, ""
    for found in re.finditer(r"(\w)\1{7,}", text):
        run = len(found[0])
        if run > longest:
            longest, last = run, found[1]
    return 0 if last == "_" else longest


def repeated_line_share(text: str) -> float:
    """Share of the characters that stand in lines seen before; blank lines, rules and closing brackets do not count."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if len(line) > 3 and not _RULE.match(line)]
    total = sum(map(len, lines))
    repeated = sum(len(line) * (count - 1) for line, count in Counter(lines).items())
    return repeated / total if total else 0.0


def top_gram_share(words: list[str], n: int) -> float:
    """Share of the characters covered by the most frequent word n-gram, if it occurs more than twice."""
    grams = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    if not grams:
        return 0.0
    gram, count = grams.most_common(1)[0]
    return sum(map(len, gram)) * count / sum(map(len, words)) if count > 2 else 0.0

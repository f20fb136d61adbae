"""Text: the same words in the same order; case counts, the amount of white space does not."""

from blocks.records import Verdict


def check(expected: str, response: str) -> Verdict:
    """Compare after folding white space."""
    if response.split() == expected.split():
        return Verdict(correct=True, reason="the same text")
    return Verdict(correct=False, reason=f"not {' '.join(expected.split())[:80]!r}")

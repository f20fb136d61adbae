"""Numbers that are calculated with, or stand in a list or a table: nobody's, however much they look like somebody's.

Not here: what a number would be otherwise.
"""

import re

# Without a space of its own: what asks for a result, right before a number.
_ASKED = re.compile(
    r"(?:\bwhat(?:'s| is| "
    r"are)|\bcompute|\bcalculate|\bevaluate|\bsolve|\bsimplify|\bsubtract\w*|\bminus|\bdifference|\bresult|\bequals?|\bsum"
    r"|\bvalue|\banswer|\bexpression|\bwork(?:ing)? "
    r"out|\bequation|\btotal|\bfind|\bremainder|\bproduct)\b[^.!?\n]{0,40}$",
    re.IGNORECASE,
)
_OPERATOR_BEFORE = re.compile(r"[=+*/^%×÷−(\[$]\s*$")
_OPERATOR_AFTER = re.compile(r"\s?(?:[=+*/^%×÷−$]|\\\)|-\s?\d|\?)")
_NUMBER_BEFORE = re.compile(r"\d{4,}[ \t,;|]*[\n ,;|\t][ \t|]*$")
_NUMBER_AFTER = re.compile(r"[ \t,;|]*[\n ,;|\t][ \t|]*\d{4,}")


def is_calculated(text: str, start: int, end: int) -> bool:
    """Whether what stands at ``start`` to ``end`` is asked to be worked out, or an operator stands beside it."""
    before = text[max(0, start - 60) : start]
    return bool(_OPERATOR_AFTER.match(text, end) or _OPERATOR_BEFORE.search(before) or _ASKED.search(before))


def is_difference(text: str, start: int, end: int) -> bool:
    """Whether numbers with ``-`` between them are a subtraction: as :func:`is_calculated`, or its result stands in the
    text, or nothing else in its line."""
    if is_calculated(text, start, end):
        return True
    first, *others = (int(part) for part in text[start:end].split("-"))
    if re.search(rf"(?<![\d.])-?{abs(first - sum(others))}(?![\d.])", text[:start] + " " + text[end:]):
        return True
    line = text[text.rfind("\n", 0, start) + 1 : start] + (text[end:].split("\n", 1) or [""])[0]
    return not any(char.isalpha() for char in line)


def is_listed(text: str, start: int, end: int) -> bool:
    """Whether a long number stands before or after it, with nothing but white space, commas or bars between: a list or
    a table."""
    return bool(_NUMBER_BEFORE.search(text[max(0, start - 40) : start]) or _NUMBER_AFTER.match(text, end))

r"""Value: the answer's last number equals the expected one exactly, as a fraction.

Understood: ``1,000``, ``$5``, ``50%`` (as 50), ``3/4``, ``\frac{3}{4}``, ``2.50``, ``1.5e3``, a leading minus; an answer after ``####`` (GSM8K) or in ``\boxed{}``
(MATH) counts before any other. Not understood: numbers in words, roots, symbols.
"""

import re
from fractions import Fraction

from blocks.records import Verdict
from configs.errors import BadInput

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
# A sign stands right before its number, and nothing right before it that it could be an operation on.
_NUMBER = re.compile(rf"(?P<sign>(?<![\w)\].])-)?(?:[$€£]\s?)?(?P<top>{_DIGITS})(?P<exponent>[eE][+-]?[0-9]{{1,2}}(?![0-9]))?(?:\s?/\s?(?P<bottom>{_DIGITS}))?")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(-?[0-9.,]+)\s*\}\s*\{\s*(-?[0-9.,]+)\s*\}")
_LONGEST = 100  # characters of one number; beyond it is noise, and slow to compare


def check(expected: str, response: str) -> Verdict:
    """Compare the last number of ``response`` with the number ``expected``.

    Raises:
        BadInput: ``expected`` holds no number.
    """
    right, found = wanted(expected), number(response)
    if found is None:
        return Verdict(correct=False, reason="no number in the answer")
    return Verdict(correct=found == right, reason=f"{found} " + ("is right" if found == right else f"is not {right}"))


def wanted(expected: str) -> Fraction:
    """The number that ``expected`` stands for.

    Raises:
        BadInput: it holds none.
    """
    found = number(expected)
    if found is None:
        raise BadInput(f"expected value {expected[:80]!r} is not a number; give one such as 12, 1,000, 3/4 or 2.5")
    return found


def number(text: str) -> Fraction | None:
    """The last number of a text, where it says so its final one; None without any."""
    text = _FRACTION.sub(r" \1/\2 ", _final(text.replace("−", "-").replace("\\$", "$").replace("\\!", "").replace("{,}", ",")))
    numbers = list(_NUMBER.finditer(text))
    return _exact(numbers[-1]) if numbers else None


def _final(text: str) -> str:
    r"""The part marked as the answer: inside the last ``\boxed{}``, after the last ``####``, or else everything."""
    start = text.rfind("\\boxed{")
    if start >= 0:
        return _braced(text[start + len("\\boxed{") :])
    return text.rpartition("####")[2]


def _braced(text: str) -> str:
    """Up to the brace that closes."""
    depth = 1
    for i, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:i]
    return text


def _exact(found: "re.Match[str]") -> Fraction | None:
    if len(found[0]) > _LONGEST:
        return None
    top = Fraction(found["top"].replace(",", "") + (found["exponent"] or ""))
    bottom = Fraction(found["bottom"].replace(",", "")) if found["bottom"] else Fraction(1)
    if bottom == 0:
        return None
    return (-top if found["sign"] else top) / bottom

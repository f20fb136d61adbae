r"""Value: the answer's final number equals the expected one exactly, as a fraction; or its mathematical expression
means the same.

Numbers: ``1,000``, ``$5``, ``50%`` (as 50), ``3/4``, ``-\frac{3}{4}``, ``\frac34``, ``1\frac{3}{4}``, ``½``, ``2.50``,
``1.5e3``, ``1.5 \times 10^3``, a leading minus in any type; an answer after ``####`` (GSM8K) or in the last
``\boxed{}`` (MATH) counts before any other, and otherwise the last number. Where what is expected is no number
(``3\sqrt{13}``, ``(2, \infty)``, ``\text{even}``), the answer's last word on it is compared by answers.py. Not
understood: numbers in words, digits of other scripts.
"""

import re
import unicodedata
from collections import deque
from fractions import Fraction

from blocks.checkers import answers
from blocks.checkers.expressions import Unreadable
from blocks.records import Verdict
from configs.errors import BadInput

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
# A sign stands right before its number, and nothing right before it that it could be an operation on.
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\].])-)?(?:[$€£]\s?)?(?P<top>{_DIGITS})(?P<exponent>[eE][+-]?[0-9]{{1,2}}(?![0-9]))?(?:\s?/\s?(?P<bottom>{_DIGITS}))?"
)
_PART = r"(?:\{\s*(-?\s?[0-9.,]+)\s*\}|([0-9]))"
_FRACTION = re.compile(
    rf"(?P<sign>(?<![\w)\].}}])-\s?)?(?P<whole>(?<![\w.,/^])[0-9]{{1,9}})?\s?\\[dtc]?frac\s*{_PART}\s*{_PART}"
)
_POWER_OF_TEN = re.compile(
    r"(?<=[0-9])\s?(?:\\times|\\cdot|[*×·])\s?10\s?\^\s?(?:\{\s?(-?[0-9]{1,2})\s?\}|(-?[0-9]{1,2})(?![0-9]))"
)
_LONGEST = 100  # characters of one number; beyond it is noise, and slow to compare
_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
_NOTHING = dict.fromkeys(
    map(
        ord,
        "\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u00ad\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    )
)
_SPACED = re.compile(r"(?<=[0-9])(?:[\u00a0\u2007\u2009\u202f]|\\,|\\;|\\ |['~_])(?=[0-9]{3}(?![0-9]))")
_VULGAR = re.compile(r"(?<![0-9])([0-9]*+)\s?([\u00bc-\u00be\u2150-\u215e])")
_RAISED = re.compile(r"[\u207a\u207b]?[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+")
_SAID = re.compile(
    r"(?:answer|result|solution|value)\b[^.\n:=]{0,80}?(?:\bis\b|\bare\b|:|=)|\btherefore\b,?|[=:]|\bis\b|\bare\b",
    re.IGNORECASE,
)
_MATHS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_TEXT, _COMMAND = re.compile(r"\\(?:text|mbox|mathrm)"), re.compile(r"\\[a-z]{3}")
# What a number stands in that is part of something larger, of which it is not the value: 3\sqrt{2}, x^2, \frac{\pi}{3},
# (1, 2), x < 3, 2n.
_PART_OF = re.compile(
    r"(?:√|\^|[A-Za-z}\])]_|\\(?:sqrt|overline|pm|mp|[lg]eq?|[lg]t|neq?|[lg]eqslant|p?mod)(?![A-Za-z])|±|\b(?:sqrt|sin|cos|tan|log|ln)|[<≤≥≠]|(?<![<\w/])[A-Za-z0-9]{1,2}\s?>=?"
    r"|[A-Za-z)}π]\s?/|\}\s?(?=\{)|[0-9]:|[0-9]\s?or\b|[({\[][^(){}\[\]\n]{0,80}[0-9]\s?,)\s{0,3}[({]?\s?$"
)
_GOES_ON = re.compile(
    r"\s?(?:π|√|\\(?:pi|sqrt|theta|alpha|beta|lambda|pm|p?mod|cup|cap|log|ln|sin|cos|tan|infty|l?dots)(?![A-Za-z]))|[xyznabi](?![A-Za-z0-9])|\s?\^\s?(?!\{?\s?\\circ)[\\A-Za-z({]"
    r"|\s?\+\s?(?:[\\(]|[A-Za-zα-ω](?![A-Za-z]))"
)
_UNIT_POWER = re.compile(
    r"(?<![A-Za-z])((?:[cmk]?m|ft|in|yd|mi|units?|inch(?:es)?|feet|met(?:er|re)s?|s)\s?\}?)\s?\^\s?(?:\{-?[1-3]\}|[1-3])(?![0-9])"
)
_NO_NUMBER = re.compile(
    r"\\(?!(?:text|math(?:rm|bf|it)|[dtc]?frac|mbox|quad|qquad|circ|cdot|times|left|right|approx|boxed|displaystyle)(?![A-Za-z]))[A-Za-z]{2}"
)
_DENIED = re.compile(r"\b(?:no|not|none|never)\b", re.IGNORECASE)
_WORTH_READING = 5000  # characters at the end of an answer without a mark, where an expression is looked for


def check(expected: str, response: str) -> Verdict:
    """Compare the final number, or expression, of ``response`` with ``expected``.

    Raises:
        BadInput: ``expected`` is neither a number nor an expression.
    """
    right = wanted(expected)
    if isinstance(right, answers.Read):
        found_right = any(_means(part, right, expected) for part in _last_words(response))
        return Verdict(correct=found_right, reason="the same answer" if found_right else f"not {expected.strip()[:80]}")
    found = number(response)
    if found == right and answers.apart(name := _name(expected), other := _name(response)):
        return Verdict(correct=False, reason=f"{other} is {found}, not {name}")
    if found is None:
        return Verdict(correct=False, reason="no number in the answer")
    return Verdict(correct=found == right, reason=f"{found} " + ("is right" if found == right else f"is not {right}"))


def wanted(expected: str) -> Fraction | answers.Read:
    """What ``expected`` stands for: a number, or another mathematical answer.

    Raises:
        BadInput: it is neither.
    """
    marked = _final(_typed(expected))
    try:
        read = answers.read(marked)
    except Unreadable:
        read = None
    exact = number(expected)
    if (
        read is not None
        and read.kind != "words"
        and marked.strip().lower() != "n/a"
        and (exact is None or _rational(read) is None)
    ):
        return read
    if read is not None and read.kind == "words" and (_TEXT.search(expected) or len(read.text) == 1):
        return read
    if read is None and (_COMMAND.search(marked) if exact is None else not _one_number(marked)):
        return answers.Read("written", text=answers.written(marked))
    if read is None and exact is None and len(_NUMBER.findall(marked[: answers.LONGEST])) > 1:  # 2:30 PM
        return answers.Read("written", text=answers.written(marked))
    if exact is None or marked.strip().lower() == "n/a":
        raise BadInput(
            f"expected value {expected[:80]!r} is not a number; give one such as 12, 1,000, 3/4 or 2.5, or an "
            f"expression such as 3\\sqrt{{2}}"
        )
    return exact if read is None or (rational := _rational(read)) is None else rational


def number(text: str) -> Fraction | None:
    """The last number of a text, where it says so its final one; None without any, and where a marked answer is
    something else."""
    text = _typed(text)
    final = _final(text)
    part = _last_formula(text[-_WORTH_READING:]) if final is text else final
    if part is not None and len(part) <= answers.LONGEST:
        try:
            return _rational(answers.read(part))
        except Unreadable:
            pass
    if final is not text and "####" not in text and not _one_number(final):
        return None
    final = _counted(final)
    numbers = deque(_NUMBER.finditer(final), maxlen=1)
    if (
        not numbers
        or _PART_OF.search(final, max(0, numbers[0].start() - 100), numbers[0].start())
        or _GOES_ON.match(final, numbers[0].end())
    ):
        return None
    return _exact(numbers[0])


def _counted(text: str) -> str:
    """The text with fractions and powers of ten of TeX as numbers, and without the powers of units."""
    return _POWER_OF_TEN.sub(
        lambda found: f"e{found[1] or found[2]}", _FRACTION.sub(_as_quotient, _UNIT_POWER.sub(r"\1", text))
    )


def _one_number(marked: str) -> bool:
    """Whether a marked answer that is no expression has one number and else only words and units."""
    last = re.split("=|≈|\\\\approx", marked)[-1]
    return len(_NUMBER.findall(_counted(last)[: answers.LONGEST])) == 1 and not (
        _NO_NUMBER.search(last) or _DENIED.search(marked[: answers.LONGEST])
    )


def _last_formula(text: str) -> str | None:
    """What the formula that holds a text's last number says at its end, None where that number stands in none."""
    numbers, formulas = deque(_NUMBER.finditer(text), maxlen=1), deque(_MATHS.finditer(text), maxlen=2)
    holding = [formula for formula in formulas if numbers and formula.start() < numbers[0].start("top") < formula.end()]
    if not holding:
        return None
    last = re.split("=|≈|\\\\approx", next(filter(None, holding[0].groups())))[-1]
    return last


def _name(text: str) -> str:
    """The unknown that a marked answer is said to be the value of."""
    final = _final(_typed(text[-_WORTH_READING:]))
    try:
        return answers.read(final).name
    except Unreadable:
        return ""


def _rational(read: answers.Read) -> Fraction | None:
    if read.kind != "number" or read.value is None:
        return None
    first, *others = read.value
    if (
        isinstance(first, complex)
        and all(abs(complex(one) - first) < 1e-12 for one in others)
        and first.imag == 0
        and first.real.is_integer()
        and abs(first.real) < 1e9
    ):
        return Fraction(int(first.real))  # a root that is whole
    return first if isinstance(first, Fraction) and others == [first, first] else None


def _means(part: str, right: answers.Read, expected: str) -> bool:
    try:
        return answers.same(
            answers.read(part), right if right.kind != "written" else answers.read(_final(_typed(expected)))
        )
    except Unreadable:  # one of them
        return answers.written(part) == answers.written(_final(_typed(expected)))


def _last_words(response: str) -> list[str]:
    """What may be an answer's last word: what it marks; else all of it where it is short, its last formula, the end of
    its last line."""
    text = _typed(response)
    final = _final(text)
    if final is not text:
        return [final]
    text = text[-_WORTH_READING:].strip()
    line = text.rpartition("\n")[2].strip().strip("*").strip()
    found = [text, line]
    formulas = [next(filter(None, formula.groups())) for formula in _MATHS.finditer(line)]
    said = [line[match.end() :] for match in _SAID.finditer(line)]
    return [*found, *formulas[-1:], *(part.strip(" *") for part in said[:1] + said[-1:])]


def _typed(text: str) -> str:
    """The text with one way to write each sign: minus, digits, spaces, fractions and powers."""
    text = re.sub(r",\\!\s*", ",", text.replace("\\$", "$").replace("{,}", ",")).replace("\\!", "")
    if not text.isascii():
        text = _VULGAR.sub(_as_decimal_or_quotient, text.translate(_NOTHING | _MINUS))
        text = _RAISED.sub(lambda found: f"^{{{unicodedata.normalize('NFKC', found[0]).translate(_MINUS)}}}", text)
        text = _SPACED.sub("", text)
        text = unicodedata.normalize("NFKC", text).replace("\u2044", "/").translate(_MINUS)
    return _SPACED.sub("", text)


def _as_decimal_or_quotient(found: "re.Match[str]") -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    whole = int(found[1][:_LONGEST] or 0)
    return f"{whole * int(bottom) + int(top)}/{bottom}"


def _as_quotient(found: "re.Match[str]") -> str:
    """A fraction of TeX as p/q, with its sign before it."""
    top, bottom = (found[3] or found[4]).replace(" ", ""), (found[5] or found[6]).replace(" ", "")
    negative = (found["sign"] is not None) ^ top.startswith("-") ^ bottom.startswith("-")
    top, bottom = top.lstrip("-"), bottom.lstrip("-")
    if found["whole"] and not (top.isdigit() and bottom.isdigit()):
        return f"{found['whole']} "
    if found["whole"]:
        top = str(int(found["whole"]) * int(bottom[:_LONGEST]) + int(top[:_LONGEST]))
    return f" {'-' if negative else ''}{top}/{bottom} "


def _final(text: str) -> str:
    r"""The part marked as the answer: inside the last ``\boxed{}``, after the last ``####``, or else everything."""
    for mark in ("\\boxed{", "\\boxed {", "\\fbox{"):
        start = text.rfind(mark)
        if start >= 0:
            return _braced(text[start + len(mark) :])
    return text.rpartition("####")[2] if "####" in text else text


def _braced(text: str) -> str:
    """Up to the brace that closes."""
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            return text[: brace.start()]
    return text


def _exact(found: "re.Match[str]") -> Fraction | None:
    if len(found[0]) > _LONGEST:
        return None
    top = Fraction(found["top"].replace(",", "") + (found["exponent"] or ""))
    bottom = Fraction(found["bottom"].replace(",", "")) if found["bottom"] else Fraction(1)
    if bottom == 0:
        return None
    return (-top if found["sign"] else top) / bottom

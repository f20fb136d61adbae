r"""Mathematical answers compared by what they mean: numbers, expressions, equations, lists, sets, intervals, matrices,
words.

Equal are ``\frac{1}{2}``, ``1/2`` and ``.5``; ``90^\circ`` and 90; ``\$18.90`` and 18.9; ``x = 5`` and 5; polynomials
in any order; sets and lists in any order; ``1 \pm \sqrt 2`` and both values. What cannot be read is compared as it is
written, without what is only set in type. Time is bounded for any text. Not here: where in a text the answer stands
(value.py), the values of expressions (expressions.py).
"""

import re
from typing import NamedTuple

from blocks.checkers import expressions
from blocks.checkers.expressions import Unreadable, Value

LONGEST = 1000
_MOST = 60  # items of a list or a matrix

_SPACING = re.compile(
    r"(?<!\\)\\(?:left|right|[Bb]igg?[lr]?|displaystyle|textstyle|quad|qquad|limits|boxed|ensuremath|blacksquare|square)(?![A-Za-z])"
    r"|(?<!\\)\\[,;:! ]|\\tag\s*\{[^{}]*\}|\\\\(?=\s*$)|[$~]|\\[()\[\]](?=\s*$)|^\s*\\[()\[\]]"
)
_SAME = [
    (re.compile(r"\\\$|[€£]"), ""),
    (re.compile(r"\\(?:text)?color\s*\{[^{}]*\}|\\[hv]?phantom\s*\{[^{}]*\}|\\hspace\*?\s*\{[^{}]*\}"), ""),
    (
        re.compile(
            r"\\(?:bm|boldsymbol|mathsf|mathtt|underline|fbox|num)(?=\s*\{)|\\(?:bf|rm|it|small|large|Large|LARGE|huge)(?![A-Za-z])"
        ),
        "",
    ),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (
        re.compile(
            r"\\(?:mbox|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|operatorname|hbox|emph|texttt|textsf)(?=\s*\{)"
        ),
        r"\\text",
    ),
    (re.compile(r"\\(?:nice|s)frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\{?\s*([0-9]+)\s*\\over\s*([0-9]+)\s*\}?"), r"\\frac{\1}{\2}"),
    (re.compile(r"\{-\}|\\text\s*\{-\}"), "-"),
    (re.compile(r"\\varnothing(?![A-Za-z])|∅|\\\{\s*\\\}"), r"\\emptyset "),
    (re.compile("[≤⩽]|<=|\\\\leqslant|\\\\leq?(?![A-Za-z])"), "≤"),
    (re.compile("[≥⩾]|>=|\\\\geqslant|\\\\geq?(?![A-Za-z])"), "≥"),
    (re.compile("≠|!=|\\\\neq?(?![A-Za-z])|\\\\not\\s*="), "≠"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})(?![A-Za-z])|\\degree|°|º|\\?%"), ""),
    (re.compile(r"\\lbrace(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![A-Za-z])"), r"\\}"),
    (re.compile(r"∞|\binfinity\b|\binf\b"), r"\\infty "),
    (re.compile("π"), r"\\pi "),
    (re.compile("∪"), r"\\cup "),
    (re.compile("±"), r"\\pm "),
    (re.compile("∈"), r"\\in "),
    (re.compile("[×·⋅]"), "*"),
    (re.compile("÷"), "/"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"√\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"√\s*([0-9]+|[a-z])"), r"\\sqrt{\1}"),
    (re.compile(r"\bsqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\a-z])(?:and|or)(?![a-z])|\\text\s*\{\s*(?:and|or)\s*\}"), ","),
]
_UNIT = re.compile(r"(?<=[0-9})a-z.])\s*\\text\s*\{[^{}]*\}\s*(?:\^\s*(?:[0-9]|\{[0-9]\}))?")
_PLAIN_UNIT = re.compile(
    r"(?<=[0-9}])\s*(?:(?:square|cubic|sq|cu)\.?\s+)?(?:cm|mm|km|m|ft|in|yd|mi|lbs?|kg|g|mg|ml|l|hrs?|h|s|min|mph|units?|degrees?|deg|radians?|rad|percent|cents?|dollars?|usd|inch(?:es)?|feet|meters?"
    r"|metres?|miles?|yards?|hours?|minutes?|seconds?|days?|weeks?|months?|years?|points?)(?:\s*\^\s*(?:[23]|\{[23]\}))?\.?\s*$",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"\\text\s*\{([^{}]*)\}|\(?([A-Z]|(?=[^()]*[A-Za-z]{3})[A-Za-z]+(?:['-][A-Za-z]+)*(?:\s+[A-Za-z]+(?:['-][A-Za-z]+)*)*+)\)?"
)
_CHOICE = re.compile(r"\\text\s*\{\s*\(([A-E])\)\s*\}\s*(?=\S)|\(([A-E])\)\s+(?=\S)")
_NO_LETTER = re.compile(r"[^A-Za-z]*[0-9][^A-Za-z]*")
_NAMED = re.compile(
    r"\s*((?:[A-Za-z]|\\[a-z]{2,7})(?:_(?:[0-9a-z]|\{[0-9a-z]\}))?(?:\([A-Za-z0-9]\))?|[A-Z]{2,3})\s*(?:=|\\in(?![a-z])|\\colon|:)\s*"
)
_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3})((?:,[0-9]{3})+)(?![0-9,])")
_MATRIX = re.compile(r"\\begin\s*\{([pbvVB]?matrix|smallmatrix|array)\}(?:\s*\{[^{}]*\})?(.*)\\end\s*\{\1\}", re.DOTALL)
_ROW = re.compile(r"\\\\(?:\s*\[[^\[\]]*\])?|\\cr(?![A-Za-z])")
_ORDER = re.compile("[<>≤≥]")
_RATIO = re.compile(r"[0-9.]+(?:\s*:\s*[0-9.]+)+")
_BASE = re.compile(r"\(?([0-9A-Fa-f]+)\)?\s*_\s*(?:\{\s*([0-9]+)\s*\}|([0-9]+))")


class Read(NamedTuple):
    """An answer: its kind, the values of a number or an equation, the words or brackets that matter, the parts of what
    has parts."""

    kind: str
    value: Value | None = None
    text: str = ""
    parts: tuple["Read", ...] = ()
    name: str = ""


def read(text: str) -> Read:
    """The answer that ``text`` is.

    Raises:
        Unreadable: it is none that is known here.
    """
    if len(text) > LONGEST:
        raise Unreadable("too long")
    text = _plain(text)
    if not text:
        raise Unreadable("nothing there")
    if choice := _CHOICE.match(text):
        return read(text[choice.end() :])._replace(name=f"({choice[1] or choice[2]})")
    if words := _WORDS.fullmatch(text):
        word = (words[1] or words[2] or "").strip("() ")
        if not _NO_LETTER.fullmatch(word):
            return Read("words", text=" ".join(word.lower().split()))
        text = word
    text = _UNIT.sub("", text).strip() or text
    text = _PLAIN_UNIT.sub("", text)
    return _answer(text)


def same(a: Read, b: Read) -> bool:
    """Whether both mean the same. What is said to be x is not what is said to be y; one without a name may be
    either."""
    if apart(a.name, b.name):
        return False
    if a.kind != b.kind or a.text != b.text or len(a.parts) != len(b.parts):
        return False
    if a.value is not None and b.value is not None:
        return (
            expressions.proportional(a.value, b.value) if a.kind == "equation" else expressions.equal(a.value, b.value)
        )
    if a.kind == "unordered":
        rest = list(b.parts)
        for part in a.parts:
            found = next((i for i, other in enumerate(rest) if same(part, other)), None)
            if found is None:
                return False
            del rest[found]
        return True
    return all(same(x, y) for x, y in zip(a.parts, b.parts, strict=True))


def apart(name: str, other: str) -> bool:
    """Whether two answers are said of two different unknowns, or are two different choices."""
    return bool(name and other) and name != other and name.startswith("(") == other.startswith("(")


def written(text: str) -> str:
    """An answer as it stands, without spaces and what is only set in type."""
    return re.sub(r"\s+|\\text\s*\{|[{}]", "", _plain(text[:LONGEST])).lower()


def _plain(text: str) -> str:
    text = text.strip().removesuffix(".").replace("\\$", "").replace("{,}", ",")
    text = re.sub(r",\\!\s*", ",", text)
    for pattern, instead in [(_SPACING, " "), *_SAME]:
        text = pattern.sub(instead, text)
    return text.strip().rstrip(".,;").strip()


def _answer(text: str) -> Read:
    named = _NAMED.match(text) if text.count("=") <= 1 and not _RATIO.fullmatch(text) else None
    if named and not _ORDER.search(text):
        found = _unnamed(text[named.end() :])
        return found._replace(name="".join(named[1].split()))
    return _unnamed(text)


def _unnamed(text: str) -> Read:
    union = _split(text, r"\cup")
    if len(union) > 1:
        return Read("unordered", text="union", parts=tuple(_item(part)[0] for part in union))
    items = _split(
        _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text) if not re.match(r"\s*[(\[\\]", text) else text,
        ",",
    )
    parts = [read_one for item in items for read_one in _item(item)]
    return parts[0] if len(parts) == 1 else Read("unordered", text="list", parts=tuple(parts))


def _item(text: str) -> list[Read]:
    """One item of a list; two where it says plus-minus."""
    text = text.strip()
    bare = text[1:-1].strip() if text[:1] in ("(", "[") and "\\begin" in text[:12] else text
    if found := _MATRIX.fullmatch(bare):
        rows = [row for row in _ROW.split(found[2]) if row.strip()]
        if len(rows) > _MOST:
            raise Unreadable("too large a matrix")
        return [
            Read(
                "matrix",
                text=found[1].lower() if found[1] in ("vmatrix", "Vmatrix") else "",
                parts=tuple(
                    Read("row", parts=tuple(_item(cell)[0] for cell in row.split("&")[:_MOST])) for row in rows
                ),
            )
        ]
    if text.startswith("\\{") and text.endswith("\\}"):
        return [
            Read(
                "unordered",
                text="list",
                parts=tuple(one for item in _split(text[2:-2], ",") if item.strip() for one in _item(item)),
            )
        ]
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and len(inside := _split(text[1:-1], ",")) > 1:
        return [Read("ordered", text=text[0] + text[-1], parts=tuple(_item(item)[0] for item in inside))]
    if _RATIO.fullmatch(text):
        return [Read("ratio", parts=tuple(Read("number", expressions.value(part)) for part in text.split(":")))]
    if "≠" in text:
        left, _, right = text.partition("≠")
        return [Read("unordered", text="≠", parts=(_item(left)[0], _item(right)[0]))]
    if orders := _ORDER.findall(text):
        sides = _ORDER.split(text)
        if set(orders) <= {">", "≥"}:
            orders, sides = ["<≤"[one == "≥"] for one in reversed(orders)], sides[::-1]
        return [Read("order", text=" ".join(orders), parts=tuple(_item(side)[0] for side in sides))]
    if found := _BASE.fullmatch(text):
        if (found[2] or found[3]) == "10":
            return [Read("number", expressions.value(found[1]))]
        return [Read("based", text=f"{found[1].lower()} {found[2] or found[3]}")]
    if (infinite := re.fullmatch(r"([+-]?)\s*\\infty", text)) is not None:
        return [Read("infinite", text=infinite[1].replace("+", ""))]
    left, equals, right = text.partition("=")
    if equals:
        a, b = expressions.value(left), expressions.value(right)
        if a == b and a[0] == a[1]:
            return [Read("number", b)]  # 3 + 3 = 6
        difference = expressions.value(f"({left})-({right})") if a and b else None
        return [Read("equation", difference)]
    both = [expressions.value(text, sign=sign) for sign in ((1, -1) if "\\pm" in text else (1,))]
    return [Read("number", one) for one in both]


def _split(text: str, at: str) -> list[str]:
    """Parts between ``at`` outside of brackets."""
    parts, depth, start = [], 0, 0
    i = 0
    while i < len(text):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth = max(depth - 1, 0)
        elif depth == 0 and text.startswith(at, i):
            parts.append(text[start:i])
            i += len(at) - 1
            start = i + 1
        i += 1
    if len(parts) > _MOST:
        raise Unreadable("too many parts")
    return [*parts, text[start:]]

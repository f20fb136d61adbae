"""A mathematical expression as a value, evaluated while it is read: numbers, roots, powers, functions, and letters as
unknowns.

A value is three numbers, one for each of three fixed choices of the unknowns: two polynomials that agree there are the
same. Rational values are exact (fractions), others are complex floats. Everything is bounded: nothing is evaluated that
would take long, and what is too large counts as not readable. Not here: lists, sets, intervals, matrices and words
(answers.py).
"""

import cmath
import math
import re
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn

Number = Fraction | complex
Value = tuple[Number, Number, Number]

DEEPEST, _BITS, _CLOSE = 40, 8192, 1e-9
_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "ln": cmath.log,
    "log": cmath.log,
    "exp": cmath.exp,
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    "cot": lambda x: 1 / cmath.tan(x),
    "sec": lambda x: 1 / cmath.cos(x),
    "csc": lambda x: 1 / cmath.sin(x),
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]{1,100}(?:\.[0-9]{0,100})?(?![0-9])|\.[0-9]{1,100}(?![0-9]))(?P<exponent>[eE][+-]?[0-9]{1,2}(?![0-9]))?|\\(?P<command>[A-Za-z]+)|(?P<word>[A-Za-z]+)|(?P<sign>\S))"
)
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "theta",
        "lambda",
        "mu",
        "nu",
        "phi",
        "varphi",
        "psi",
        "omega",
        "rho",
        "sigma",
        "tau",
        "chi",
        "xi",
        "eta",
        "zeta",
        "kappa",
    ]
)
_ENDS = frozenset([")", "]", "}", "|", "", "+", "-", "rfloor", "rceil"])


class Unreadable(ValueError):
    """What was given is no expression, or a larger one than is evaluated."""


def value(text: str, *, sign: int = 1) -> Value:
    """The value of an expression; ``sign``: what a plus-minus stands for.

    Raises:
        Unreadable: it is none, or too large.
    """
    try:
        return _Reader(text, sign).whole()
    except (ArithmeticError, ValueError, RecursionError):
        raise Unreadable("no value") from None


def equal(a: Value, b: Value) -> bool:
    """Exactly, where both are rational; else to nine digits."""
    return all(
        x == y if isinstance(x, Fraction) and isinstance(y, Fraction) else _close(x, y)
        for x, y in zip(a, b, strict=True)
    )


def proportional(a: Value, b: Value) -> bool:
    """Whether one is a multiple of the other: two equations are the same then."""
    try:
        return all(_close(a[0] * b[i], a[i] * b[0]) for i in (1, 2)) and any(a) and any(b)
    except OverflowError:  # larger than any float
        return False


def _close(a: Number, b: Number) -> bool:
    try:
        x, y = complex(a), complex(b)
        return abs(x - y) <= _CLOSE * max(abs(x), abs(y), _CLOSE)
    except OverflowError:  # larger than any float
        return a == b


def _fail(why: str) -> NoReturn:
    raise Unreadable(why)


def _each(function: Callable[..., Number], *values: Value) -> Value:
    first, second, third = (function(*numbers) for numbers in zip(*values, strict=True))
    return first, second, third


def _constant(number: Number) -> Value:
    return number, number, number


def _unknown(name: str) -> Value:
    first, second, third = (Fraction(zlib.crc32(f"{name} {i}".encode()) % 9973 + 1009, 4001) for i in range(3))
    return first, second, third


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits <= _BITS:
            return base ** int(exponent)
    return complex(base) ** complex(exponent)


def _bounded(number: Number) -> Number:
    if isinstance(number, Fraction) and max(number.numerator.bit_length(), number.denominator.bit_length()) > 4 * _BITS:
        _fail("too large")
    if isinstance(number, complex) and not cmath.isfinite(number):
        _fail("not finite")
    return number


class _Reader:
    """A recursive descent over the tokens."""

    def __init__(self, text: str, sign: int) -> None:
        self._tokens: list[tuple[str, str]] = []
        for found in _TOKEN.finditer(text.strip()):
            kind = str(found.lastgroup if found["exponent"] is None else "number")
            if kind == "number":
                self._tokens.append((kind, found["number"] + (found["exponent"] or "")))
            elif kind == "word":
                word = found["word"]
                if word in _FUNCTIONS or word in ("sqrt", "pi"):
                    self._tokens.append(("command", word))
                elif len(word) <= 3:
                    self._tokens += [("letter", letter) for letter in word]
                else:
                    _fail("words")
            else:
                self._tokens.append((kind, found[kind]))
        self._at, self._depth, self._sign = 0, 0, sign

    def whole(self) -> Value:
        found = self._sum()
        if self._at < len(self._tokens):
            _fail("something is left over")
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, *allowed: str) -> str | None:
        kind, text = self._peek()
        if kind in ("sign", "command") and text in allowed:
            self._at += 1
            return text
        return None

    def _need(self, *allowed: str) -> str:
        return self._take(*allowed) or _fail(f"no {allowed[0]}")

    def _sum(self) -> Value:
        self._depth += 1
        if self._depth > DEEPEST:
            _fail("too deep")
        total = self._signed_product()
        while operation := self._take("+", "-", "pm", "±", "mp"):
            negative = (
                operation == "-"
                or (operation in ("pm", "±") and self._sign < 0)
                or (operation == "mp" and self._sign > 0)
            )
            term = self._product()
            total = _each(lambda a, b, s=-1 if negative else 1: _bounded(a + s * b), total, term)
        self._depth -= 1
        return total

    def _signed_product(self) -> Value:
        sign = 1
        while operation := self._take("+", "-", "pm", "±"):
            sign *= -1 if operation == "-" or (operation != "+" and self._sign < 0) else 1
        return _each(lambda a: sign * a, self._product())

    def _product(self) -> Value:
        total = self._factor()
        while True:
            if self._take("*", "cdot", "times"):
                total = _each(lambda a, b: _bounded(a * b), total, self._factor(signed=True))
            elif self._take("/", "div"):
                total = _each(lambda a, b: _bounded(a / b), total, self._factor(signed=True))
            elif self._begins_factor():
                total = _each(lambda a, b: _bounded(a * b), total, self._factor())
            else:
                return total

    def _begins_factor(self) -> bool:
        kind, text = self._peek()
        return (
            kind in ("number", "letter")
            or (kind == "sign" and text in "([{")
            or (kind == "command" and text not in ("pm", "mp", "cdot", "times", "div", "rfloor", "rceil", "rvert"))
        )

    def _factor(self, *, signed: bool = False) -> Value:
        if signed and self._take("-"):
            return _each(lambda a: -a, self._factor())
        whole = self._peek()
        found = self._atom()
        if whole[0] == "number" and "." not in whole[1] and (part := self._fraction_behind()) is not None:
            found = _each(lambda a, b: a + b, found, part)
        while True:
            if self._take("^"):
                exponent = self._argument()
                found = _each(lambda a, b: _bounded(_power(a, b)), found, exponent)
            elif self._take("!"):
                found = _each(_factorial, found)
            else:
                return found

    def _fraction_behind(self) -> Value | None:
        """The fraction of a mixed number such as 1\\frac{4}{5} or 1 4/5."""
        numbers = [
            (kind, text) for kind, text in self._tokens[self._at : self._at + 7] if kind == "number" or text not in "{}"
        ]
        if numbers[:1] == [("command", "frac")]:
            digits = [text if kind == "number" and text.isdigit() else "" for kind, text in numbers[1:3]]
            if (all(digits[:2]) and len(digits) == 2) or (
                len(digits[0] if digits else "") == 2 and self._tokens[self._at + 1][0] == "number"
            ):
                return self._atom()
        plain = self._tokens[self._at : self._at + 3]
        if (
            len(plain) == 3
            and plain[1] == ("sign", "/")
            and plain[0][0] == plain[2][0] == "number"
            and plain[0][1].isdigit()
            and plain[2][1].isdigit()
        ):
            self._at += 3
            return _constant(Fraction(int(plain[0][1]), int(plain[2][1])))
        return None

    def _argument(self) -> Value:
        """What stands in braces, or the one sign behind: x^2, \\frac12, \\sqrt3."""
        if self._take("{"):
            found = self._sum()
            self._need("}")
            return found
        kind, text = self._peek()
        if kind == "number" and text.isdigit() and len(text) > 1:  # TeX takes one digit
            self._tokens[self._at] = (kind, text[1:])
            return _constant(Fraction(int(text[0])))
        if self._take("-"):
            return _each(lambda a: -a, self._argument())
        return self._atom()

    def _atom(self) -> Value:
        kind, text = self._peek()
        self._at += 1
        if kind == "number":
            return _constant(Fraction(text))
        if kind == "letter":
            return (
                _constant(1j)
                if text == "i"
                else _constant(complex(math.e))
                if text == "e"
                else _unknown(self._named(text))
            )
        if kind == "sign" and text in "([{":
            found = self._sum()
            self._need({"(": ")", "[": "]", "{": "}"}[text])
            return found
        if text in ("|", "lvert", "lfloor", "lceil"):
            found = self._sum()
            self._need(*{"|": "|", "lvert": ("rvert",), "lfloor": ("rfloor",), "lceil": ("rceil",)}[text])
            if text in ("lfloor", "lceil"):
                return _each(_floor if text == "lfloor" else lambda a: -_floor(-a), found)
            first, second, third = _each(lambda a: abs(a) if isinstance(a, Fraction) else complex(abs(a)), found)
            return (
                first,
                second,
                third if found[0] == found[1] else -third,
            )  # an unknown is positive here, but its amount is not itself
        if kind == "command":
            return self._command(text)
        _fail("no value")

    def _named(self, letter: str) -> str:
        """An unknown's name, its index included."""
        if not self._take("_"):
            return letter
        braced = self._take("{")
        kind, text = self._peek()
        if kind not in ("number", "letter"):
            _fail("no index")
        self._at += 1
        if braced:
            self._need("}")
        return f"{letter}_{text}"

    def _command(self, name: str) -> Value:
        if name == "frac":
            return _each(lambda a, b: _bounded(a / b), self._argument(), self._argument())
        if name == "sqrt":
            index = _constant(Fraction(2))
            if self._take("["):
                index = self._sum()
                self._need("]")
            return _each(_root, self._argument(), index)
        if name == "binom":
            return _each(_choose, self._argument(), self._argument())
        if name == "pi":
            return _constant(complex(math.pi))
        if name in _GREEK:
            return _unknown(self._named(name))
        if name in _FUNCTIONS:
            return self._function(name)
        _fail(f"unknown {name[:20]}")

    def _function(self, name: str) -> Value:
        base = self._argument() if name == "log" and self._take("_") else None
        power = self._argument() if self._take("^") else None
        if self._peek()[1] == "(":
            argument = self._atom()
        else:
            argument = self._factor()
            while self._begins_factor() and self._peek()[1] not in _FUNCTIONS and self._peek()[1] not in _ENDS:
                argument = _each(lambda a, b: a * b, argument, self._factor())
        if power is not None and name in ("sin", "cos", "tan") and all(one == -1 for one in power):
            name, power = f"arc{name}", None
        found = _each(lambda a: _bounded(_FUNCTIONS[name](complex(a))), argument)
        if base is not None:
            found = _each(lambda a, b: a / cmath.log(complex(b)), found, base)
        return found if power is None else _each(lambda a, b: _bounded(_power(a, b)), found, power)


def _floor(number: Number) -> Number:
    return Fraction(math.floor(number if isinstance(number, Fraction) else number.real))


def _factorial(number: Number) -> Number:
    if isinstance(number, Fraction) and number.denominator == 1 and 0 <= number <= 100:
        return Fraction(math.factorial(int(number)))
    _fail("too large a factorial")


def _choose(top: Number, bottom: Number) -> Number:
    if (
        isinstance(top, Fraction)
        and isinstance(bottom, Fraction)
        and top.denominator == bottom.denominator == 1
        and 0 <= bottom <= top <= 1000
    ):
        return Fraction(math.comb(int(top), int(bottom)))
    _fail("too large a binomial")


def _root(number: Number, index: Number) -> Number:
    if (
        isinstance(number, Fraction)
        and number < 0
        and isinstance(index, Fraction)
        and index.denominator == 1
        and int(index) % 2
    ):
        return -_root(-number, index)
    if isinstance(number, Fraction) and index == 2 and number >= 0:
        top, bottom = math.isqrt(number.numerator), math.isqrt(number.denominator)
        if top * top == number.numerator and bottom * bottom == number.denominator:
            return Fraction(top, bottom)
    return _bounded(complex(number) ** (1 / complex(index)))

"""Plain data between the judge and the program: which types are so, and what each looks like as JSON.

What JSON has no exact form for is an object of one key, its type. Values of subclasses are reduced to their base by the
base's own methods, so that nothing of a class that the program made ever runs on the other side. Not here: the sending,
and what becomes of values that are no plain data (wire.py).
"""

import array
import collections
import datetime
import decimal
import fractions
import sys
from collections.abc import Callable
from typing import Any

SMALL = 1 << 62  # from here on an integer is written by its digits
ALIKE = (type(None), bool, float, str)  # as JSON has them; floats by their shortest exact form
REDUCED: tuple[Any, ...] = (int, float, str, bytes, bytearray, list, dict, set, frozenset, tuple)
CHANGEABLE = (list, dict, set, bytearray)
DATA_MODULES = ("builtins", "collections", "decimal", "fractions", "datetime")
UNWANTED = (
    "antigravity",
    "this",
    "idlelib",
    "turtledemo",
    "__main__",
)  # modules that do something when they are imported
_DATES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta)


def reduced(value: Any) -> Any:
    """A value of a subclass as one of its base, read by the base's own methods; the value itself where it has no such
    base."""
    kind = type(value)
    for base in REDUCED:
        if issubclass(kind, base):
            if base is dict:
                return dict(list(dict.items(value)))
            if base is int or base is float:
                return base.__pos__(value)
            return str.__str__(value) if base is str else base(base.__iter__(value))
    return value


def items_of(content: Any) -> list[Any]:
    """What came as a list.

    Raises:
        ValueError: it is none.
    """
    """What came as a list.

    Raises:
        ValueError: it is none.
    """
    if type(content) is not list:
        raise ValueError("no list")
    return content


def known_type(name: str) -> type:
    """A type of the standard library that is data, or an exception of a module that is loaded already.

    Raises:
        ValueError: it is neither.
    """
    module, _, rest = name.rpartition(".")
    found = getattr(sys.modules.get(module), rest, None)
    if not isinstance(found, type) or not (module in DATA_MODULES or issubclass(found, BaseException)):
        raise ValueError(name)
    return found


def _set_items(value: Any) -> list[Any]:
    return list(value)


def _date(content: Any) -> Any:
    name, parts = content
    kind = {kind.__name__: kind for kind in _DATES}[name]
    return kind(*parts)


def _date_parts(value: Any) -> list[Any]:
    if type(value) is datetime.timedelta:
        return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if type(value) is datetime.date:
        return ["date", [value.year, value.month, value.day]]
    clock = [value.hour, value.minute, value.second, value.microsecond]
    if type(value) is datetime.time:
        return ["time", clock]
    return ["datetime", [value.year, value.month, value.day, *clock]]


def _default_dict(content: Any) -> Any:
    kind, items = content
    return collections.defaultdict(
        kind if kind in (int, float, str, list, dict, set, tuple, bool) else None, items_of(items)
    )


# exact type: (tag, its content as plain data); the other way below
PLAIN: dict[type, tuple[str, Callable[[Any], Any]]] = {
    set: ("s", _set_items),
    frozenset: ("f", _set_items),
    bytes: ("b", bytes.hex),
    bytearray: ("B", bytearray.hex),
    complex: ("c", lambda value: [value.real, value.imag]),
    range: ("r", lambda value: [value.start, value.stop, value.step]),
    slice: ("slice", lambda value: [value.start, value.stop, value.step]),
    type(...): ("...", lambda _: None),
    decimal.Decimal: ("D", str),
    fractions.Fraction: ("F", lambda value: [value.numerator, value.denominator]),
    **dict.fromkeys(_DATES, ("date", _date_parts)),
    collections.deque: ("deque", lambda value: [list(value), value.maxlen]),
    collections.Counter: ("Counter", lambda value: [list(item) for item in value.items()]),
    collections.OrderedDict: ("OrderedDict", lambda value: [list(item) for item in value.items()]),
    collections.defaultdict: (
        "defaultdict",
        lambda value: [value.default_factory, [list(item) for item in value.items()]],
    ),
    array.array: ("array", lambda value: [value.typecode, value.tolist()]),
    type({}.keys()): ("keys", _set_items),
    type({}.values()): ("values", _set_items),
    type({}.items()): ("items", lambda value: [list(item) for item in value]),
}
BUILT: dict[str, Callable[[Any], Any]] = {
    "i": lambda content: int(content, 16),
    "s": lambda content: set(items_of(content)),
    "f": lambda content: frozenset(items_of(content)),
    "b": bytes.fromhex,
    "B": bytearray.fromhex,
    "c": lambda content: complex(*items_of(content)),
    "r": lambda content: range(*items_of(content)),
    "slice": lambda content: slice(*items_of(content)),
    "...": lambda _: ...,
    "D": decimal.Decimal,
    "F": lambda content: fractions.Fraction(*items_of(content)),
    "date": _date,
    "deque": lambda content: collections.deque(*items_of(content)),
    "Counter": lambda content: collections.Counter(dict(items_of(content))),
    "OrderedDict": lambda content: collections.OrderedDict(items_of(content)),
    "defaultdict": _default_dict,
    "array": lambda content: array.array(*items_of(content)),
    "keys": lambda content: dict.fromkeys(items_of(content)).keys(),
    "values": lambda content: dict(enumerate(items_of(content))).values(),
    "items": lambda content: dict(items_of(content)).items(),
}

"""Between the judge and the program that it judges: values as plain data of exact types, everything else as a number to ask for.

A value is JSON; what JSON has no exact form for is an object of one key, its type. Values of subclasses are reduced to their
base by the base's own methods, so that nothing of a class that the program made ever runs on the other side. An object that is
no plain data stays where it is: the other side has a ``Remote``, which passes calls on. Used on both sides, which are not equal:
the judge believes nothing that it is told, and lets the other side see little (sandbox_judge.py). Not here: processes.
"""

import array
import collections
import datetime
import decimal
import fractions
import json
import os
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

MOST_BYTES = 32 * 1024 * 1024  # of one message
_SMALL = 1 << 62
_DATES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta)
_ALIKE = (type(None), bool, float, str)  # as JSON has them; floats by their shortest exact form
_REDUCED: tuple[Any, ...] = (int, float, str, bytes, bytearray, list, dict, set, frozenset, tuple)


class Broken(BaseException):
    """The other side is gone, or said what cannot be understood. Tests cannot catch it as an ``Exception``."""


class Left(BaseException):
    """The program tried to leave (SystemExit and the like)."""


def reduced(value: Any) -> Any:
    """A value of a subclass as one of its base, read by the base's own methods; the value itself where it has no such base."""
    kind = type(value)
    for base in _REDUCED:
        if issubclass(kind, base):
            if base is dict:
                return dict(list(dict.items(value)))
            if base is int or base is float:
                return base.__pos__(value)
            return str.__str__(value) if base is str else base(base.__iter__(value))
    return value


class Remote:
    """Something on the other side. Never equal to plain data, whatever it says; see ``Link`` for what is passed on."""

    def __init__(self, link: "Link", number: int, own: bool) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_own", own)  # made by a class that is called by its name: its operators are asked for

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__", "__qualname__"):
            raise AttributeError(name)  # among them what makes numpy read memory, or copy and pickle call
        return self._link.ask(["get", self._number, name])

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.ask(["set", self._number, name, self._link.pack(value)])

    def __deepcopy__(self, _: Any) -> Any:
        return self._link.ask(["op", "deepcopy", [self._link.pack(self)]])

    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        if not isinstance(other, Remote):
            content = self._link.ask(["content", self._number])
            return content == other if content is not None and not isinstance(content, Remote) else NotImplemented
        return _operator("eq")(self, other) if self._own or other._own else False

    def __hash__(self) -> int:
        return object.__hash__(self)


class RemoteFunction(Remote):
    """A function on the other side, or another object that can be called."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function gives there, as plain data or as a ``Remote``."""
        return self._link.call(self._number, arguments, named)


class RemoteClass(RemoteFunction):
    """A class on the other side."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """An object of the class, of which the operators are asked for as well."""
        made = super().__call__(*arguments, **named)
        if isinstance(made, Remote):
            object.__setattr__(made, "_own", True)
        return made

    def __instancecheck__(self, value: Any) -> bool:
        return type(value) in _REMOTES and self._link.ask(["op", "isinstance", self._link.pack([value, self])]) is True


_REMOTES = {Remote: "", RemoteFunction: "function", RemoteClass: "class"}


def _asked(name: str) -> Callable[..., Any]:
    def method(self: Remote, *arguments: Any) -> Any:
        return self._link.ask(["op", name, self._link.pack([self, *arguments])])

    return method


def _operator(name: str) -> Callable[..., Any]:
    """An operator between two objects of the other side, or one that gives such an object: never a number to compare."""

    def method(self: Remote, *others: Any) -> Any:
        if not (self._own or any(isinstance(other, Remote) and other._own for other in others)):
            return NotImplemented
        result = self._link.ask(["op", name, self._link.pack([self, *others])], own=True)
        if isinstance(result, Remote) or all(isinstance(other, Remote) for other in others):
            return result
        return NotImplemented

    return method


for _name in ("len", "iter", "next", "getitem", "setitem", "delitem", "str", "repr", "bool", "enter", "exit"):
    setattr(Remote, f"__{_name}__", _asked(_name))
_OPERATORS = "lt le gt ge add sub mul matmul truediv floordiv mod pow and or xor neg pos abs invert"
for _name in _OPERATORS.split():
    setattr(Remote, f"__{_name}__", _operator(_name))


class Link:
    """One end of the two pipes. ``serve`` answers what the other side asks while this side waits, and may be None."""

    def __init__(self, reading: int, writing: int, serve: Callable[[list[Any]], Any], back: int = 0) -> None:
        self.reading, self.writing, self.serve, self.back = reading, writing, serve, back
        self.broken = ""
        self.lent: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._remotes: dict[int, Any] = {}
        self._kinds: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._decoder = json.JSONDecoder(object_hook=self._unpacked)

    def ask(self, message: list[Any], own: bool = False) -> Any:
        """Send a request and wait for its answer; what the other side asks meanwhile is answered.

        Raises:
            Broken: the other side is gone or out of order. Anything else is what the request raised there.
        """
        if self.broken:
            raise Broken(self.broken)
        self.send(message)
        while True:
            reply = self.receive()
            if not isinstance(reply, list) or not reply or not isinstance(reply[0], str):
                raise self.fail("answered what is no answer")
            if reply[0] == "value" and len(reply) >= 2:
                if own and isinstance(reply[1], Remote):
                    object.__setattr__(reply[1], "_own", True)
                return reply[1] if len(reply) == 2 else reply[1:]
            if reply[0] == "error" and len(reply) == 4:
                raise self._error(*reply[1:])
            self.send(self.answer(reply))

    def answer(self, request: list[Any]) -> list[Any]:
        """The reply to one request of the other side."""
        try:
            return self.serve(request)
        except (Broken, Left):
            raise
        except BaseException as error:
            return self.failed(error)

    def failed(self, error: BaseException) -> list[Any]:
        """An error as a reply: its type, its arguments and attributes as far as they are plain data."""
        try:
            return ["error", self.pack(type(error)), self.pack(list(error.args)), self.pack(str(error))]
        except BaseException:
            return ["error", {"T": "RuntimeError"}, [f"{type(error).__name__}"], ""]

    def call(self, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call there. Lists and the like that a call without a result has changed are changed here as well."""
        reply = self.ask(["call", number, [self.pack(one) for one in arguments], {"d": [[k, self.pack(v)] for k, v in named.items()]}, self.back])
        if not isinstance(reply, list) or len(reply) != 2:
            raise self.fail("answered what is no answer")
        result, changed = reply
        if isinstance(changed, list) and len(changed) == len(arguments):
            for mine, now in zip(arguments, changed, strict=True):
                if type(mine) is type(now) and type(mine) in (list, bytearray):
                    mine[:] = now
                elif type(mine) is type(now) and type(mine) in (dict, set):
                    mine.clear()
                    mine.update(now)
        return result

    def fail(self, reason: str) -> Broken:
        """Nothing more is asked of the other side."""
        self.broken = self.broken or reason
        return Broken(reason)

    def send(self, message: list[Any]) -> None:
        """One message: its length in eight bytes, then JSON."""
        body = json.dumps(message).encode()
        if len(body) > MOST_BYTES:
            raise self.fail("said more than can be judged")
        data = memoryview(struct.pack("!Q", len(body)) + body)
        try:
            while data:
                data = data[os.write(self.writing, data) :]
        except OSError:
            raise self.fail("left before the end") from None

    def receive(self) -> Any:
        """The next message, unpacked."""
        size = struct.unpack("!Q", self._read(8))[0]
        if size > MOST_BYTES:
            raise self.fail("said more than can be judged")
        body = self._read(size)
        try:
            return self._decoder.decode(body.decode())
        except Exception:
            raise self.fail("answered what is no answer") from None

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self.reading, min(size, 1 << 20))
            if not part:
                raise self.fail("left before the end")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def pack(self, value: Any, whole: bool = False) -> Any:
        """A value as JSON; ``whole`` leaves an object of a subclass of list and the like where it is, with its methods."""
        kind = type(value)
        if kind in _ALIKE:
            return value
        if kind is int:
            return value if -_SMALL < value < _SMALL else {"i": hex(value)}
        if kind is list:
            return [self.pack(one) for one in value]
        if kind is tuple:
            return {"t": [self.pack(one) for one in value]}
        if kind is dict:
            return {"d": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        plain = _PLAIN.get(kind)
        if plain is not None:
            return {plain[0]: self.pack(plain[1](value))}
        if kind in _REMOTES:
            return {"back": value._number}
        if isinstance(value, type):
            return self._pack_type(value)
        if kind is types.ModuleType:
            return {"module": value.__name__}
        if issubclass(kind, tuple) and isinstance(fields := kind.__dict__.get("_fields"), tuple):
            return {"named": [str(kind.__name__), [str(name) for name in fields], [self.pack(one) for one in tuple.__iter__(value)]]}
        if not whole and issubclass(kind, _REDUCED):
            return self.pack(reduced(value))
        return {"ref": [self.lend(value), "function" if callable(value) else ""]}

    def lend(self, value: Any) -> int:
        """The number by which the other side asks for an object of this side."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.lent)
            self.lent.append(value)
        return number

    def _pack_type(self, kind: type) -> Any:
        known = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
        if known is kind and (kind.__module__ in _DATA_MODULES or issubclass(kind, BaseException)) and kind.__module__ != "program":
            return {"T": f"{kind.__module__}.{kind.__qualname__}"}
        if issubclass(kind, BaseException):
            return {"E": [kind.__name__, [self._pack_type(base) for base in kind.__bases__ if issubclass(base, BaseException)]]}
        return {"ref": [self.lend(kind), "class"]}

    def _unpacked(self, found: dict[str, Any]) -> Any:
        """A JSON object as the value that it stands for.

        Raises:
            ValueError, TypeError, KeyError: it stands for none.
        """
        ((tag, content),) = found.items()
        if tag == "t":
            return tuple(_list(content))
        if tag == "d":
            return dict(_list(content))
        if tag in _BUILT:
            return _BUILT[tag](content)
        if tag == "ref":
            number, sort = content
            if type(number) is not int:
                raise ValueError(tag)
            if number not in self._remotes:
                made = {name: kind for kind, name in _REMOTES.items()}[sort]
                self._remotes[number] = made(self, number, False)
            return self._remotes[number]
        if tag == "back":
            if type(content) is not int or not 0 <= content < len(self.lent):
                raise ValueError(tag)
            return self.lent[content]
        if tag == "module":
            if content not in sys.stdlib_module_names or content in _UNWANTED:
                raise ValueError(tag)
            return __import__(content)
        if tag == "T":
            return _known_type(content)
        if tag == "E":
            return self._exception_type(str(content[0]), tuple(_list(content[1])))
        if tag == "named":
            name, fields, values = content
            return self._named_tuple(str(name), tuple(map(str, fields)))(*values)
        raise ValueError(tag)

    def _exception_type(self, name: str, bases: tuple[type[BaseException], ...]) -> type[BaseException]:
        if not all(isinstance(base, type) and issubclass(base, BaseException) for base in bases):
            raise ValueError(name)
        key = (name, tuple(map(repr, bases)))
        if key not in self._kinds:
            self._kinds[key] = type(name, bases or (Exception,), {"__module__": "program"})
        return self._kinds[key]

    def _named_tuple(self, name: str, fields: tuple[str, ...]) -> Any:
        key = (name, fields)
        if key not in self._kinds:
            self._kinds[key] = collections.namedtuple(name, fields)
        return self._kinds[key]

    def _error(self, kind: Any, arguments: Any, text: Any) -> BaseException:
        """What the other side raised, as an error of this side."""
        if not (isinstance(kind, type) and issubclass(kind, BaseException)) or not isinstance(arguments, list):
            return self.fail("answered what is no answer")
        if not issubclass(kind, Exception):
            return Left(f"{kind.__name__}: {text}")
        try:
            return kind(*arguments)
        except Exception:
            return RuntimeError(f"{kind.__name__}: {text}")


def _list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise ValueError("no list")
    return content


def _known_type(name: str) -> type:
    """A type of the standard library that is data, or an exception of a module that is loaded already."""
    module, _, rest = name.rpartition(".")
    found = getattr(sys.modules.get(module), rest, None)
    if not isinstance(found, type) or not (module in _DATA_MODULES or issubclass(found, BaseException)):
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
    return collections.defaultdict(kind if kind in (int, float, str, list, dict, set, tuple, bool) else None, _list(items))


_DATA_MODULES = ("builtins", "collections", "decimal", "fractions", "datetime")
_UNWANTED = ("antigravity", "this", "idlelib", "turtledemo", "__main__")
# exact type: (tag, its content as plain data); the other way below
_PLAIN: dict[type, tuple[str, Callable[[Any], Any]]] = {
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
    collections.defaultdict: ("defaultdict", lambda value: [value.default_factory, [list(item) for item in value.items()]]),
    array.array: ("array", lambda value: [value.typecode, value.tolist()]),
    type({}.keys()): ("keys", _set_items),
    type({}.values()): ("values", _set_items),
    type({}.items()): ("items", lambda value: [list(item) for item in value]),
}
_BUILT: dict[str, Callable[[Any], Any]] = {
    "i": lambda content: int(content, 16),
    "s": lambda content: set(_list(content)),
    "f": lambda content: frozenset(_list(content)),
    "b": bytes.fromhex,
    "B": bytearray.fromhex,
    "c": lambda content: complex(*_list(content)),
    "r": lambda content: range(*_list(content)),
    "slice": lambda content: slice(*_list(content)),
    "...": lambda _: ...,
    "D": decimal.Decimal,
    "F": lambda content: fractions.Fraction(*_list(content)),
    "date": _date,
    "deque": lambda content: collections.deque(*_list(content)),
    "Counter": lambda content: collections.Counter(dict(_list(content))),
    "OrderedDict": lambda content: collections.OrderedDict(_list(content)),
    "defaultdict": _default_dict,
    "array": lambda content: array.array(*_list(content)),
    "keys": lambda content: dict.fromkeys(_list(content)).keys(),
    "values": lambda content: dict(enumerate(_list(content))).values(),
    "items": lambda content: dict(_list(content)).items(),
}

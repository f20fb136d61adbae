"""Between the judge and the program that it judges: messages over two pipes, in JSON.

Plain data crosses as it is (values.py); an object that is none stays where it is and crosses as a number to ask for
(remote.py). Used on both sides, which are not equal: the judge believes nothing that it is told, and lets the other
side see little (judge.py). Not here: processes.
"""

import collections
import json
import os
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

from blocks.sandbox.remote import REMOTES, Remote
from blocks.sandbox.values import (
    ALIKE,
    BUILT,
    CHANGEABLE,
    DATA_MODULES,
    PLAIN,
    REDUCED,
    SMALL,
    UNWANTED,
    items_of,
    known_type,
    reduced,
)

MOST_BYTES = 32 * 1024 * 1024  # of one message


class Broken(BaseException):
    """The other side is gone, or said what cannot be understood. Tests cannot catch it as an ``Exception``."""


class Left(BaseException):
    """The program tried to leave (SystemExit and the like)."""


class Link:
    """One end of the two pipes, given as descriptors; made before the fork, since that is dear afterwards.

    ``serve`` answers what the other side asks while this side waits; ``back`` says whether what a call does to its
    arguments is wanted beside its result, and is asked once, when there is something that can be changed.
    """

    serve: Callable[[list[Any]], Any]
    back: Callable[[], bool]

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
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
        back = any(type(one) in CHANGEABLE for one in arguments) and self.back()
        message = [
            "call",
            number,
            [self.pack(one) for one in arguments],
            {"d": [[k, self.pack(v)] for k, v in named.items()]},
            back,
        ]
        try:
            reply = self.ask(message)
        except (
            StopIteration
        ) as error:  # of a function, which would end a loop of the tests' own as if there were no more of them
            raise RuntimeError("the call raised StopIteration") from error
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
        """A value as JSON; ``whole`` leaves an object of a subclass of list and the like where it is, with its
        methods."""
        kind = type(value)
        if kind in ALIKE:
            return value
        if kind is int:
            return value if -SMALL < value < SMALL else {"i": hex(value)}
        if kind is list:
            return [self.pack(one) for one in value]
        if kind is tuple:
            return {"t": [self.pack(one) for one in value]}
        if kind is dict:
            return {"d": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        plain = PLAIN.get(kind)
        if plain is not None:
            return {plain[0]: self.pack(plain[1](value))}
        if kind in REMOTES:
            return {"back": value._number}
        if isinstance(value, type):
            return self._pack_type(value)
        if kind is types.ModuleType:
            return {"module": value.__name__}
        if issubclass(kind, tuple) and isinstance(fields := kind.__dict__.get("_fields"), tuple):
            return {
                "named": [
                    str(kind.__name__),
                    [str(name) for name in fields],
                    [self.pack(one) for one in tuple.__iter__(value)],
                ]
            }
        if not whole and issubclass(kind, REDUCED):
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
        if (
            known is kind
            and (kind.__module__ in DATA_MODULES or issubclass(kind, BaseException))
            and kind.__module__ != "program"
        ):
            return {"T": f"{kind.__module__}.{kind.__qualname__}"}
        if issubclass(kind, BaseException):
            return {
                "E": [
                    kind.__name__,
                    [self._pack_type(base) for base in kind.__bases__ if issubclass(base, BaseException)],
                ]
            }
        return {"ref": [self.lend(kind), "class"]}

    def _unpacked(self, found: dict[str, Any]) -> Any:
        """A JSON object as the value that it stands for.

        Raises:
            ValueError, TypeError, KeyError: it stands for none.
        """
        ((tag, content),) = found.items()
        if tag == "t":
            return tuple(items_of(content))
        if tag == "d":
            return dict(items_of(content))
        if tag in BUILT:
            return BUILT[tag](content)
        if tag == "ref":
            number, sort = content
            if type(number) is not int:
                raise ValueError(tag)
            if number not in self._remotes:
                made = {name: kind for kind, name in REMOTES.items()}[sort]
                self._remotes[number] = made(self, number, False)
            return self._remotes[number]
        if tag == "back":
            if type(content) is not int or not 0 <= content < len(self.lent):
                raise ValueError(tag)
            return self.lent[content]
        if tag == "module":
            if content not in sys.stdlib_module_names or content in UNWANTED:
                raise ValueError(tag)
            return __import__(content)
        if tag == "T":
            return known_type(content)
        if tag == "E":
            return self._exception_type(str(content[0]), tuple(items_of(content[1])))
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
        if any(
            base.__module__.partition(".")[0] == "unittest" for base in kind.__mro__
        ):  # SkipTest, say, by which tests speak to their runner
            return RuntimeError(f"{kind.__name__}: {text}")
        try:
            return kind(*arguments)
        except Exception:
            return RuntimeError(f"{kind.__name__}: {text}")

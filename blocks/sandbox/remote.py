"""What is no plain data stays in its own process; the other side has a ``Remote``, which passes on what is asked of it.

Not here: the asking itself (wire.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.sandbox.wire import Link


class Remote:
    """Something on the other side. Never equal to plain data, whatever it says; see ``Link`` for what is passed on."""

    def __init__(self, link: "Link", number: int, own: bool) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_own", own)  # made by a class that is called by its name: its operators are asked for
        object.__setattr__(
            self, "_apart", False
        )  # what such an object says to be apart from plain data by: never a number

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
            if self._apart:
                return NotImplemented
            content = self._link.ask(["content", self._number])
            return content == other if content is not None and not isinstance(content, Remote) else NotImplemented
        return _operator("eq")(self, other) if self._own or other._own else False

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __bool__(self) -> Any:
        if self._apart:
            raise TypeError("the difference of an object and plain data is no truth value")
        return self._link.ask(["op", "bool", self._link.pack([self])])


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
        return type(value) in REMOTES and self._link.ask(["op", "isinstance", self._link.pack([value, self])]) is True


REMOTES = {Remote: "", RemoteFunction: "function", RemoteClass: "class"}


def _operation(name: str) -> Callable[..., Any]:
    def method(self: Remote, *arguments: Any) -> Any:
        return self._link.ask(["op", name, self._link.pack([self, *arguments])])

    return method


def _operator(name: str) -> Callable[..., Any]:
    """An operator between two objects of the other side, or one that gives such an object: never a number to
    compare."""

    def method(self: Remote, *others: Any) -> Any:
        sides = [side for side in (self, *others) if isinstance(side, Remote)]
        result = NotImplemented
        if any(side._own for side in sides):
            result = self._link.ask(["op", name, self._link.pack([self, *others])], own=True)
        alone = len(sides) > len(others)  # without plain data
        apart = any(side._apart for side in sides)
        if isinstance(result, Remote):
            if apart or (not alone and name in _APART):
                object.__setattr__(result, "_apart", True)
            return result
        if not others and (apart or result is NotImplemented):
            raise TypeError(f"bad operand type for {name}")
        return result if alone else NotImplemented

    return method


for _name in ("len", "iter", "next", "getitem", "setitem", "delitem", "str", "repr", "enter", "exit"):
    setattr(Remote, f"__{_name}__", _operation(_name))
_APART = ("sub", "truediv", "floordiv", "mod", "xor")
"""Operators by which a test measures how far a result is from what it expects: of a right answer they give 0 or 1."""
_OPERATORS = "lt le gt ge add sub mul matmul truediv floordiv mod pow and or xor neg pos abs invert"
for _name in _OPERATORS.split():
    setattr(Remote, f"__{_name}__", _operator(_name))

"""What is no plain data stays in its own process; the other side has a ``Remote``, which passes on what is asked of it.

Not here: the asking itself (sandbox_wire.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.sandbox_wire import Link


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
        return type(value) in REMOTES and self._link.ask(["op", "isinstance", self._link.pack([value, self])]) is True


REMOTES = {Remote: "", RemoteFunction: "function", RemoteClass: "class"}


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

"""In the process of the answer: runs its program, then does what the judge asks of it, one request at a time.

Nothing here need be trusted, since nothing is kept from the program in its own process: of the tests it holds the
arguments of the calls made so far, and no more. Requests: ``given`` (imports and classes of the tests, for the names
that the program lacks), ``name`` (of the program), ``call``, ``get``, ``set``, ``content`` and ``op`` (of objects that
the judge has by number).
"""

import builtins
import copy
import operator
import sys
import types
from typing import Any

from blocks.sandbox.values import CHANGEABLE, reduced
from blocks.sandbox.wire import Broken, Link

_BUILTIN = frozenset(name for name, value in vars(builtins).items() if value is not None and not name.startswith("__"))


def _enter(value: Any) -> Any:
    return type(value).__enter__(value)


def _exit(value: Any, *error: Any) -> Any:
    return type(value).__exit__(value, None, None, None)


_BY_NAME = (
    "getitem setitem delitem eq lt le gt ge add sub mul matmul truediv floordiv mod pow and_ or_ xor neg pos abs invert"
)
OPERATIONS: dict[str, Any] = {
    **{name.rstrip("_"): getattr(operator, name) for name in _BY_NAME.split()},
    **{"len": len, "iter": iter, "next": next, "str": str, "repr": repr, "bool": bool, "isinstance": isinstance},
    **{"deepcopy": copy.deepcopy, "enter": _enter, "exit": _exit},
}


def failure(error: BaseException) -> str:
    """An error in one line, for people."""
    try:
        return f"{type(error).__name__}: {error}".strip(": ").split("\n")[0][:300] or "error"
    except BaseException:
        return "error"


def run(source: str, link: Link) -> None:
    """Run the program as an imported module, say how that went, and serve the judge until it hangs up."""
    module = types.ModuleType("program")
    sys.modules["program"] = module
    link.serve = lambda request: _serve(link, module, request)
    link.back = lambda: False
    try:
        exec(compile(source, "program", "exec"), module.__dict__)
    except BaseException as error:
        sys.stdout.flush()
        link.send(["failed", failure(error)])
        return
    sys.stdout.flush()
    link.send(["ready", [name for name in module.__dict__ if name in _BUILTIN]])
    try:
        while True:
            reply = link.answer(link.receive())
            sys.stdout.flush()
            link.send(reply)
    except Broken:
        return


def _serve(link: Link, module: types.ModuleType, request: list[Any]) -> list[Any]:
    what, *details = request
    names = module.__dict__
    if what == "call":
        number, arguments, named, back = details
        target = link.lent[number]
        result = target(*arguments, **named)
        changed = None
        if back or result is None:
            changed = [link.pack(one) if type(one) in CHANGEABLE else None for one in arguments]
            changed = changed if any(one is not None for one in changed) else None
        return ["value", link.pack(result, whole=isinstance(target, type)), changed]
    if what == "name":
        return ["value", link.pack(names[details[0]], whole=True)]
    if what == "get":
        return ["value", link.pack(getattr(link.lent[details[0]], details[1]), whole=True)]
    if what == "set":
        setattr(link.lent[details[0]], details[1], details[2])
        return ["value", None]
    if what == "content":
        value = link.lent[details[0]]
        plain = reduced(value)
        return ["value", None if plain is value else link.pack(plain)]
    if what == "given":
        _give(details[0], names)
        return ["value", None]
    return ["value", link.pack(OPERATIONS[details[0]](*details[1]), whole=True)]


def _give(sources: list[str], names: dict[str, Any]) -> None:
    """What the tests import and define stands there for the program too, where it has no such name itself."""
    given: dict[str, Any] = {"__name__": "program", "__builtins__": names.get("__builtins__")}
    for source in sources:
        try:
            exec(compile(source, "given", "exec"), given)
        except BaseException:  # the judge meets the same, and says so
            continue
    for name, value in given.items():
        names.setdefault(name, value)

"""In the process of the judge: runs the tests, with the program's names asked for in the process of the program.

The tests have builtins and modules of their own, which the program cannot touch. A name that they do not define is the
program's; a builtin's name is so only where the tests use no other name of the program (a question may well want a
function ``sum``). The program is told the name and, call by call, the arguments; what it answers is plain data, or a
number for what stays with it. Of objects of the tests that are arguments it may call functions, and read and set the
public attributes of instances of classes that the tests define. Tests that need more of a program than this do not
pass. Not here: the way between the two (wire.py).
"""

import ast
import builtins
import symtable
import sys
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

from blocks.sandbox.remote import Remote
from blocks.sandbox.runner import OPERATIONS, failure
from blocks.sandbox.wire import Broken, Left, Link

_NAME = "__main__"  # of the tests, so that they run what they keep for when they are run
_LENT = ("len", "iter", "next", "getitem", "str", "repr", "bool", "isinstance")  # operations that a program may ask for


class _Names(dict[str, Any]):
    """The builtins of the tests, taken as they are used; what is missing there is asked of the program."""

    def __init__(self, link: Link) -> None:
        super().__init__(__import__=builtins.__import__)  # which the interpreter takes without asking
        self._link = link

    def __missing__(self, name: str) -> Any:
        if name in vars(builtins):
            return self.setdefault(name, vars(builtins)[name])
        value = self._link.ask(
            ["name", name]
        )  # a KeyError where there is none, which the interpreter makes a NameError
        if isinstance(value, Remote):
            self[name] = value  # what is plain data is asked for anew: the program may have changed it
        return value


def judge(tests: str, link: Link) -> str | None:
    """Run the tests to their end; why they did not come to it, None where they did."""
    try:
        code = compile(tests, "tests", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the tests are no Python ({failure(error)})"
    link.serve = lambda request: _serve(link, request)
    link.back = cache(lambda: _discards(ast.parse(tests)))
    try:
        began = link.receive()
        if not (isinstance(began, list) and [type(one) for one in began] in ([str, list], [str, str])):
            return "answered what is no answer"
        if began[0] != "ready":
            return str(began[1])[:500]
        module = types.ModuleType(_NAME)
        sys.modules[_NAME] = module
        names = module.__dict__
        names["__builtins__"] = _Names(link)
        # What is not needed is not read: to parse tests here costs more than to run most of them.
        given = list(_imports_and_classes(ast.parse(tests))) if "import" in tests or "class" in tests else []
        if given:
            link.ask(["given", given])
        shadowed = _shadowed(tests, {name for name in began[1] if type(name) is str}) if began[1] else None
        if shadowed:
            names[shadowed] = link.ask(["name", shadowed])
        exec(code, names)
    except Left as error:
        return str(error)[:300]
    except Broken as error:
        return str(error)
    except BaseException as error:
        return failure(error)
    return link.broken or None


def _serve(link: Link, request: Any) -> list[Any]:
    """What the program asks while it is called: little, and only of what was handed to it."""
    if not isinstance(request, list) or not request:
        raise link.fail("answered what is no answer")
    what, *details = request
    if what == "call" and len(details) == 4:
        number, arguments, named, _ = details
        return ["value", link.pack(_lent(link, number)(*arguments, **named)), None]
    if what in ("get", "set") and len(details) >= 2:
        value, name = _lent(link, details[0]), details[1]
        if type(value).__module__ != _NAME or not isinstance(name, str) or name.startswith("_"):
            raise AttributeError(str(name))
        if what == "get":
            return ["value", link.pack(getattr(value, name))]
        setattr(value, name, details[2])
        return ["value", None]
    if what == "content":
        return ["value", None]
    if what == "op" and len(details) == 2 and details[0] in _LENT:
        return ["value", link.pack(OPERATIONS[details[0]](*details[1]))]
    raise link.fail("answered what is no answer")


def _lent(link: Link, number: Any) -> Any:
    if type(number) is not int or not 0 <= number < len(link.lent):
        raise link.fail("answered what is no answer")
    return link.lent[number]


def _discards(tree: ast.Module) -> bool:
    """Whether the tests call for what a call does to its arguments: somewhere they leave its result alone."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)} | set(
        dir(builtins)
    )
    calls = (
        node.value.func for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    )
    return any(isinstance(call, ast.Name) and call.id not in own for call in calls)


def _imports_and_classes(tree: ast.Module) -> Iterator[str]:
    """The imports and the classes of the tests, but not classes that hold tests."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.ClassDef)
            and not any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
            and "Test" not in node.name
        ):
            yield ast.unparse(node)


def _shadowed(tests: str, defined: set[str]) -> str | None:
    """The builtin whose name is that of the wanted function; None where the tests use any other name of the program.

    ``defined`` are the names of builtins that the program says to have.
    """
    free = _free(symtable.symtable(tests, "tests", "exec"))
    if any(name not in vars(builtins) and name not in sys.stdlib_module_names for name in free):
        return None
    for statement in ast.parse(tests).body:
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            for name in _loaded(statement):
                if name in free and name in defined:
                    return name
    return None


def _free(table: symtable.SymbolTable) -> set[str]:
    """Names that the tests use and never bind where they use them."""
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    return set(_globals(table, True)) - bound


def _globals(table: symtable.SymbolTable, top: bool) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner, False)


def _loaded(node: ast.AST) -> Iterator[str]:
    """Names in the order in which they are done with: the innermost call first."""
    for inner in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and inner is node.func):
            yield from _loaded(inner)
    if isinstance(node, ast.Call):
        yield from _loaded(node.func)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id

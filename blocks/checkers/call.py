"""Call: the answer's tool calls are the expected ones, compared by value; the order of arguments and of parallel calls
is free.

Read: JSON objects ``{"tool": name, …arguments}``, ``{"name": …, "arguments": {…}}`` (also ``parameters``, and OpenAI's
``function`` wrapper), Anthropic's ``tool_use``, Llama's ``<function=name>{…}</function>``, Mistral's ``[TOOL_CALLS]``,
``{name: {…}}``, arrays and sequences of them, and Python calls ``name(argument=value)``. The expected value is the same
JSON, or ``{"alternatives": [{name: {argument: [allowed, …]}}]}`` as in the Berkeley Function-Calling Leaderboard, where
``""`` among the allowed values, or no value, means that the argument may be left out, and text is compared without
case, space and punctuation.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from blocks.records import Verdict
from configs.errors import BadInput

_DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: _unique(pairs), parse_constant=lambda name: _refuse(name))
_JSON = re.compile(r"[{\[]")
_NAMED = re.compile(r"(?<![\w.])[\w.]++\(")  # a word is tried from its beginning only: time is linear
_MARK = re.compile(r"\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]")  # Mistral's
_TAGGED = re.compile(r"<function=([\w.-]{1,100})>\s*(?=\{)([^<]*+)</function>")  # Llama's
_PUNCTUATION = re.compile(r"[ ,./\-_*^']")


class Call(NamedTuple):
    """A tool's name and its arguments."""

    name: str
    arguments: dict[str, Any]


def check(expected: str, response: str) -> Verdict:
    """Compare the calls in ``response`` with those in ``expected``.

    Raises:
        BadInput: ``expected`` holds no calls.
    """
    allowed, free = wanted(expected)
    try:
        found = calls(response)
        if len(found) != len(allowed):
            return Verdict(correct=False, reason=f"{len(found)} calls, not {len(allowed)}")
        if _all_fit(found, allowed) if free else Counter(map(_key, found)) == Counter(map(_key, allowed)):
            return Verdict(correct=True, reason="the same calls")
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        return Verdict(correct=False, reason=f"not readable as tool calls: {str(error)[:80]}")
    return Verdict(correct=False, reason=f"not the call {_shown(allowed)}")


def wanted(expected: str) -> tuple[list[Call], bool]:
    """The calls that ``expected`` asks for, and whether each argument has a list of allowed values.

    Raises:
        BadInput: it holds no calls.
    """
    try:
        value = json.loads(expected)
        alternatives = value.get("alternatives") if isinstance(value, dict) else None
        allowed = _calls(value) if alternatives is None else _allowed(alternatives)
    except (ValueError, TypeError, AttributeError, RecursionError):
        allowed = []
    if not allowed:
        raise BadInput(f"expected value {expected[:80]!r} is not a tool call in JSON")
    return allowed, alternatives is not None


def calls(text: str) -> list[Call]:
    """The tool calls of an answer.

    Raises:
        ValueError: it holds none, or something that is almost one.
    """
    text = _MARK.sub(" ", _TAGGED.sub(_as_object, text))
    start = _JSON.search(text)
    python = _python_start(text)
    if python is not None and (start is None or python <= start.start()):
        return _python_calls(text[python:])
    found: list[Call] = []
    while start:
        value, end = _DECODER.raw_decode(text, start.start())
        found += _calls(value)
        start = _JSON.search(text, end)
    if not found:
        raise ValueError("no call")
    return found


def _as_object(found: "re.Match[str]") -> str:
    return f'{{"name": "{found[1]}", "arguments": {found[2]}}}'


def _python_start(text: str) -> int | None:
    """Where the first name with a parenthesis begins, or the list that it is first in."""
    for found in _NAMED.finditer(text):
        name = found[0].lstrip("0123456789.")
        if name != "(":
            before = text[: found.end() - len(name)].rstrip()
            return len(before) - 1 if before.endswith("[") else found.end() - len(name)
    return None


def _calls(value: Any) -> list[Call]:
    if isinstance(value, list):
        return [call for item in value for call in _calls(item)]
    if not isinstance(value, dict) or not value:
        raise ValueError("a call is a JSON object")
    if isinstance(value.get("function"), dict):
        value = value["function"]
    if isinstance(value.get("tool_calls"), list):
        return _calls(value["tool_calls"])
    if value.get("type") == "tool_use" and isinstance(value.get("name"), str) and isinstance(value.get("input"), dict):
        return [Call(value["name"], value["input"])]
    for key in ("name", "tool", "function"):
        if isinstance(value.get(key), str):
            rest = (
                {name: item for name, item in value.items() if name not in (key, "id", "type")}
                if key != "tool"
                else {name: item for name, item in value.items() if name != key}
            )
            return [Call(value[key], _arguments(rest))]
    if len(value) == 1 and isinstance(only := next(iter(value.values())), dict):
        return [Call(next(iter(value)), only)]
    raise ValueError("no tool is named")


def _arguments(rest: dict[str, Any]) -> dict[str, Any]:
    """The arguments beside a name: nested under one key, as an object or its JSON text, or flat. Null, an empty text
    and an empty list are no arguments."""
    for key in ("arguments", "parameters"):
        if set(rest) - {"index"} == {key}:
            nested = _DECODER.decode(rest[key].strip() or "{}") if isinstance(rest[key], str) else rest[key]
            if nested is None or nested == []:
                return {}
            if isinstance(nested, dict):
                return nested
    return rest


def _python_calls(text: str) -> list[Call]:
    text = text.split("```")[0].strip()
    try:
        nodes = [statement.value for statement in ast.parse(text).body if isinstance(statement, ast.Expr)]
    except SyntaxError as error:
        raise ValueError(error.msg) from None
    items = [item for node in nodes for item in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]
    found = []
    for item in items:
        if not isinstance(item, ast.Call) or item.args or any(keyword.arg is None for keyword in item.keywords):
            raise ValueError("a call names its arguments")
        found.append(
            Call(
                ast.unparse(item.func), {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in item.keywords}
            )
        )
    return found


def _allowed(alternatives: Any) -> list[Call]:
    allowed = [Call(name, arguments) for entry in alternatives for name, arguments in entry.items()]
    if not all(
        isinstance(call.arguments, dict) and all(isinstance(values, list) for values in call.arguments.values())
        for call in allowed
    ):
        raise TypeError("every argument has a list of allowed values")
    return allowed


def _all_fit(found: Sequence[Call], allowed: Sequence[Call]) -> bool:
    """Whether each found call can be given an allowed one of its own: a bipartite matching, by augmenting paths."""
    fitting = [[i for i, candidate in enumerate(allowed) if _fits(call, candidate)] for call in found]
    owner: dict[int, int] = {}  # the found call that has an allowed one, and the other way round
    owned: dict[int, int] = {}
    for start in range(len(found)):
        reached_from: dict[int, int] = {}
        queue = [start]
        free: int | None = None
        for at in queue:
            for i in fitting[at]:
                if i not in reached_from:
                    reached_from[i] = at
                    if i in owner:
                        queue.append(owner[i])
                    elif free is None:
                        free = i
            if free is not None:
                break
        if free is None:
            return False
        while free is not None:  # along the path everybody moves on by one
            at = reached_from[free]
            given_up = owned.get(at)
            owner[free], owned[at] = at, free
            free = given_up
    return True


def _key(value: Any) -> Hashable:
    """Equal for what is equal by value: a truth value is not a number, an integer equals its decimal, a list its
    tuple."""
    if isinstance(value, Call):
        return value.name, _key(value.arguments)
    if isinstance(value, dict):
        return "object", frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(map(_key, value))
    if isinstance(value, set):
        return "set", frozenset(map(_key, value))
    return ("truth", value) if isinstance(value, bool) else value


def _same(a: Any, b: Any) -> bool:
    return _key(a) == _key(b)


def _fits(found: Call, allowed: Call) -> bool:
    return found.name == allowed.name and _arguments_fit(found.arguments, allowed.arguments)


def _arguments_fit(found: dict[str, Any], allowed: dict[str, list[Any]]) -> bool:
    missing_fine = all(name in found or not values or "" in values for name, values in allowed.items())
    return missing_fine and all(
        name in allowed and any(_one_fits(value, choice) for choice in allowed[name] or [[]])
        for name, value in found.items()
    )


def _one_fits(value: Any, choice: Any) -> bool:
    if isinstance(choice, dict) and isinstance(value, dict):
        return _arguments_fit(
            value, {name: values if isinstance(values, list) else [values] for name, values in choice.items()}
        )
    if isinstance(choice, list) and isinstance(value, list | tuple):
        return len(choice) == len(value) and all(
            _one_fits(item, wanted) for item, wanted in zip(value, choice, strict=True)
        )
    if isinstance(choice, str) and isinstance(value, str):
        return _PUNCTUATION.sub("", value).lower() == _PUNCTUATION.sub("", choice).lower()
    return _same(value, choice)


def _shown(allowed: Sequence[Call]) -> str:
    return "; ".join(f"{call.name} {json.dumps(call.arguments)}" for call in allowed)[:120]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("an argument is given twice")
    return dict(pairs)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no value")

"""Call: the answer's tool calls are the expected ones, compared by value; the order of arguments and of parallel calls is free.

Read: JSON objects ``{"tool": name, …arguments}``, ``{"name": …, "arguments": {…}}`` (also ``parameters``, and OpenAI's ``function`` wrapper),
``{name: {…}}``, arrays and sequences of them, and Python calls ``name(argument=value)``. The expected value is the same JSON, or
``{"alternatives": [{name: {argument: [allowed, …]}}]}`` as in the Berkeley Function-Calling Leaderboard, where ``""`` among the allowed
values, or no value, means that the argument may be left out, and text is compared without case, space and punctuation.
"""

import ast
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from blocks.records import Verdict
from configs.errors import BadInput

_DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: _unique(pairs), parse_constant=lambda name: _refuse(name))
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
    try:
        wanted = json.loads(expected)
        alternatives = wanted.get("alternatives") if isinstance(wanted, dict) else None
        allowed = _allowed(alternatives) if alternatives is not None else _calls(wanted)
    except (ValueError, TypeError, AttributeError):
        raise BadInput(f"expected value {expected[:80]!r} is not a tool call in JSON") from None
    try:
        found = calls(response)
    except (ValueError, TypeError, RecursionError) as error:
        return Verdict(correct=False, reason=f"not readable as tool calls: {str(error)[:80]}")
    if len(found) != len(allowed):
        return Verdict(correct=False, reason=f"{len(found)} calls, not {len(allowed)}")
    if _all_match(found, allowed, _fits if alternatives is not None else _equal):
        return Verdict(correct=True, reason="the same calls")
    return Verdict(correct=False, reason=f"not the call {_shown(allowed)}")


def calls(text: str) -> list[Call]:
    """The tool calls of an answer.

    Raises:
        ValueError: it holds none, or something that is almost one.
    """
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    python = re.search(r"\[?\s*[A-Za-z_][\w.]*\(", text)
    if python and (not starts or python.start() <= min(starts)):
        return _python_calls(text[python.start() :])
    found: list[Call] = []
    at = min(starts, default=-1)
    while at >= 0:
        value, end = _DECODER.raw_decode(text, at)
        found += _calls(value)
        starts = [start for start in (text.find("{", end), text.find("[", end)) if start >= 0]
        at = min(starts, default=-1)
    if not found:
        raise ValueError("no call")
    return found


def _calls(value: Any) -> list[Call]:
    if isinstance(value, list):
        return [call for item in value for call in _calls(item)]
    if not isinstance(value, dict) or not value:
        raise ValueError("a call is a JSON object")
    if isinstance(value.get("function"), dict):
        value = value["function"]
    if isinstance(value.get("tool_calls"), list):
        return _calls(value["tool_calls"])
    for key in ("name", "tool", "function"):
        if isinstance(value.get(key), str):
            rest = {name: item for name, item in value.items() if name not in (key, "id", "type")} if key != "tool" else {name: item for name, item in value.items() if name != key}
            return [Call(value[key], _arguments(rest))]
    if len(value) == 1 and isinstance(only := next(iter(value.values())), dict):
        return [Call(next(iter(value)), only)]
    raise ValueError("no tool is named")


def _arguments(rest: dict[str, Any]) -> dict[str, Any]:
    """The arguments beside a name: nested under one key, as an object or its JSON text, or flat."""
    for key in ("arguments", "parameters"):
        if set(rest) == {key}:
            nested = _DECODER.decode(rest[key]) if isinstance(rest[key], str) else rest[key]
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
        found.append(Call(ast.unparse(item.func), {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in item.keywords}))
    return found


def _allowed(alternatives: Any) -> list[Call]:
    return [Call(name, arguments) for entry in alternatives for name, arguments in entry.items()]


def _all_match(found: Sequence[Call], allowed: Sequence[Call], matches: Any) -> bool:
    """Whether each found call can be given an allowed one of its own."""
    if not found:
        return not allowed
    rest = found[1:]
    return any(matches(found[0], candidate) and _all_match(rest, [*allowed[:i], *allowed[i + 1 :]], matches) for i, candidate in enumerate(allowed))


def _equal(found: Call, wanted: Call) -> bool:
    return found.name == wanted.name and _same(found.arguments, wanted.arguments)


def _same(a: Any, b: Any) -> bool:
    """Equal by value; a truth value is not a number, an integer equals its decimal."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _fits(found: Call, allowed: Call) -> bool:
    return found.name == allowed.name and _arguments_fit(found.arguments, allowed.arguments)


def _arguments_fit(found: dict[str, Any], allowed: dict[str, list[Any]]) -> bool:
    missing_fine = all(name in found or not values or "" in values for name, values in allowed.items())
    return missing_fine and all(name in allowed and any(_one_fits(value, choice) for choice in allowed[name] or [[]]) for name, value in found.items())


def _one_fits(value: Any, choice: Any) -> bool:
    if isinstance(choice, dict) and isinstance(value, dict):
        return _arguments_fit(value, {name: values if isinstance(values, list) else [values] for name, values in choice.items()})
    if isinstance(choice, list) and isinstance(value, list | tuple):
        return len(choice) == len(value) and all(_one_fits(item, wanted) for item, wanted in zip(value, choice, strict=True))
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

"""Adapters of function calling: the Berkeley Function-Calling Leaderboard (BFCL) and Gorilla's APIBench.

BFCL keeps questions and their right calls in two files; they are put together by id here. BFCL is an evaluation set as
well: whoever evaluates on it must not collect it (decontaminate.py would remove it anyway).
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tasks.data.collect.pair import Pair, Row, each, joined, usable
from tasks.data.collect.values import readable

NO_CALL = "None of the functions fits."
_OUTPUT = re.compile(
    r"^\W*Instruction['\"]?:\s*(?P<asked>.*?)\s*(?:###\s*|['\"]?,\s*['\"])Output['\"]?:", re.DOTALL | re.IGNORECASE
)


def bfcl(rows: Iterable[Row]) -> Iterator[Pair | str]:
    """``id``, ``question``, ``function``; and, from the answers' file, ``id``, ``ground_truth``. A question is given
    out as soon as both halves were seen; those called irrelevance have no call by design, others left alone at the end
    cannot be used."""
    questions: dict[str, Row] = {}
    answers: dict[str, Any] = {}
    for row in rows:
        if row.get("id") is None:
            yield "no field 'id'"
            continue
        name = str(row["id"])
        if "ground_truth" in row:
            answers[name] = row["ground_truth"]
        elif "irrelevance" in name:
            yield usable(lambda row=row: Pair(_question(row), NO_CALL))  # type: ignore[misc]
            continue
        else:
            questions[name] = row
        if name in questions and name in answers:
            yield usable(lambda name=name: Pair(_question(questions.pop(name)), _calls(answers.pop(name))))  # type: ignore[misc]
    for _ in questions:
        yield "a question without its calls"


def _question(row: Row) -> str:
    """The user's words below the functions on offer, as JSON."""
    functions = "\n".join(json.dumps(_without_none(function), ensure_ascii=False) for function in row["function"])
    said = [readable(message["content"]) for turn in row["question"] for message in turn if message["role"] == "user"]
    return joined(f"Functions:\n{functions}", "\n".join(said))


def _calls(ground_truth: Any) -> str:
    """The first acceptable value of every argument; an optional one that may be left out is left out."""
    calls = []
    for call in ground_truth:
        for name, arguments in call.items():
            given = {
                key: values for key, values in (arguments or {}).items() if values is not None and "" not in values
            }
            calls.append({"name": name, "arguments": {key: _first(values) for key, values in given.items()}})
    return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)


def _first(values: Any) -> Any:
    value = values[0] if isinstance(values, list) and values else values
    if isinstance(value, dict):
        return {key: _first(inner) for key, inner in value.items() if inner is not None and inner != [""]}
    return value


def _without_none(value: Any) -> Any:
    """A columnar reader fills keys that other rows have with None: taken out again."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value


def _gorilla(row: Row) -> Pair | None:
    """``code`` = ``###Instruction: … ###Output: …``; ``api_call`` is the right call."""
    found = _OUTPUT.match(row["code"])
    return Pair(joined("Name the one API call that does this.", found["asked"]), row["api_call"]) if found else None


gorilla = each(_gorilla)

"""What a record is: one definition for filter, dedup, verify and stats.

A JSON object with ``prompt`` (or ``instruction``, and ``input`` or ``context`` where there is one: Alpaca, Dolly) and
``response`` (or ``output``), both text. ``id`` is text or a whole number, or missing or null: its place in the file
stands for it then. ``draft`` and ``thinking`` are text where they are there, and a score in ``metadata.quality_score``
is a finite number. A field that is null is not there. Every other field is carried along unchanged.
Not here: files (files.py, dedup/), and public sources in other shapes (collect/).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from configs.errors import BadInput
from tasks.data.plain.json_text import dumps

QUALITY = ("metadata", "quality_score")
_PLAIN = frozenset((str, type(None)))
FIELDS = ("id", "prompt", "response", "instruction", "input", "context", "output", "draft", "thinking")
_MADE = ("id", "prompt", "response", "instruction", "input", "context", "output")


@dataclass(frozen=True, slots=True)
class Plain:
    """One record. ``row`` is all of it; ``line`` is the JSON it came as where that can be written again unchanged;
    ``cells`` the Parquet batch it came from and its row there; ``named``: the id is its own, not its place."""

    id: str
    prompt: str
    response: str
    row: dict[str, Any]
    line: bytes | None = None
    cells: tuple[Any, int] | None = None
    named: bool = True

    @property
    def json(self) -> bytes:
        """The record as one JSON line, without the line end.

        Raises:
            BadInput: a value has no form in JSON.
        """
        if self.line is not None:
            return self.line
        try:
            return dumps(self.row)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInput(
                f"record {self.id[:80]!r}: cannot be written as JSON ({error}); leave the field out or write Parquet"
            ) from None


class Unfit(ValueError):
    """What keeps an object from being a record."""


def as_record(
    row: dict[str, Any], where: str, fallback: str, line: bytes | None = None, cells: tuple[Any, int] | None = None
) -> Plain:
    """The record in a JSON object. One in Alpaca's or Dolly's fields gets ``id``, ``prompt`` and ``response`` in their
    place.

    Args:
        row: the JSON object.
        where: ``file:line``, for errors.
        fallback: the id of a row without one.
        line: the bytes it was parsed from.
        cells: the Parquet batch and row it is from.

    Raises:
        BadInput: a field is missing or of another kind.
    """
    try:
        prompt, response = texts(row)
        named = identity(row)
        quality(row, QUALITY)
    except Unfit as fault:
        raise BadInput(f"{where}: {fault}") from None
    if row.get("prompt") is None or row.get("response") is None:
        others = {key: value for key, value in row.items() if key not in _MADE}
        own = row["id"] if named is not None else fallback
        row, line = {"id": own, "prompt": prompt, "response": response, **others}, None
    return Plain(
        id=fallback if named is None else named,
        prompt=prompt,
        response=response,
        row=row,
        line=line,
        cells=cells,
        named=named is not None,
    )


def texts(row: Mapping[str, Any], between: str = "\n\n") -> tuple[str, str]:
    """Prompt and response. ``between`` stands between an instruction and its input.

    Raises:
        Unfit: one is not there or no text, or ``draft`` or ``thinking`` is none.
    """
    get = row.get
    prompt, response = get("prompt"), get("response")
    if type(prompt) is not str:
        prompt = _instruction(row, between)
    if type(response) is not str:
        response = _text(row, "response" if response is not None or "output" not in row else "output")
    if type(get("draft")) not in _PLAIN or type(get("thinking")) not in _PLAIN:
        name = "draft" if type(get("draft")) not in _PLAIN else "thinking"
        raise Unfit(f"field {name!r} is {type(row[name]).__name__}, not text; leave it out or make it text")
    return prompt, response


def identity(row: Mapping[str, Any]) -> str | None:
    """The row's id as text, None where it has none.

    Raises:
        Unfit: it is neither text nor a whole number.
    """
    found = row.get("id")
    if found is None or type(found) is str:
        return found
    if type(found) is int:  # a bool is no id
        try:
            return str(found)
        except ValueError:  # of more than 4,300 digits
            pass
    raise Unfit(f"field 'id' is {type(found).__name__}, not text; make it text or leave it out")


def quality(row: Mapping[str, Any], names: tuple[str, ...]) -> float:
    """The finite number that ``names`` lead to, 0.0 where there is none.

    Raises:
        Unfit: something else is there.
    """
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return 0.0
    if type(value) in (int, float):
        try:
            if isfinite(number := float(value)):
                return number
        except OverflowError:
            pass
    raise Unfit(f"{'.'.join(names)} is not a finite number; make it one or leave it out")


def _instruction(row: Mapping[str, Any], between: str) -> str:
    """The prompt in Alpaca's or Dolly's fields."""
    if row.get("prompt") is not None or row.get("instruction") is None:
        return _text(row, "prompt")
    instruction, given = row["instruction"], row.get("input")
    if given is None or given == "":
        given = row.get("context")
    given = "" if given is None else given
    if not (type(instruction) is str and type(given) is str):
        raise Unfit("instruction, input and output must be text (or instruction, context and response)")
    return f"{instruction.strip()}{between}{given.strip()}" if given.strip() else instruction.strip()


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if type(value) is str:
        return value
    has = ", ".join(repr(str(key)[:30]) for key in list(row)[:8])
    if name == "output" and "prompt" not in row:
        raise Unfit(
            f"instruction, input and output must be text; output is {'null' if value is None else type(value).__name__}"
        )
    fault = (
        f"field {name!r} is {'null' if value is None else type(value).__name__}, not text"
        if name in row
        else f"field {name!r} is missing"
    )
    raise Unfit(
        f"{fault}; a record needs prompt and response (or Alpaca's or Dolly's instruction, input or context, output); "
        f"it has {has or 'nothing'}"
    )

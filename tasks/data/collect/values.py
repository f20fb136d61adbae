"""Values of a public record as adapters can read them, whatever the reader or the file made of a text.

A number or a date is its text; message content in parts (``[{"type": "text", "text": ...}]``) is the text of its parts.
What has no text (null, NaN) is None; lists and objects stay, with their values read in the same way.
Not here: which of them make a prompt and a response (the adapters).
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

_TEXT_PARTS = ("text", "input_text", "output_text")


def readable(value: Any) -> Any:
    """``value`` as above."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):  # a reader takes a date for the midnight before it
        return value.date().isoformat() if value.time() == time() and value.tzinfo is None else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: readable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        parts = [_part(inner) for inner in value]
        return "\n".join(parts) if parts and None not in parts else [readable(inner) for inner in value]  # type: ignore[arg-type]
    return value


def _number(value: float | Decimal) -> str | None:
    if not isfinite(value):
        return None
    return (
        format(value, "f")
        if isinstance(value, Decimal)
        else str(int(value))
        if value == int(value) and abs(value) < 2**53
        else repr(value)
    )


def _part(value: Any) -> str | None:
    """The text of a part of a message; None where it is something else."""
    if not isinstance(value, Mapping) or value.get("type") not in _TEXT_PARTS or not isinstance(value.get("text"), str):
        return None
    return str(value["text"])

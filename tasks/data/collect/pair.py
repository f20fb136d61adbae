"""What an adapter makes of a public record, and the small things adapters share.

An adapter is a function from a source's rows, in their order, to pairs; a row that has nothing to learn from gives the
reason instead.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.data.collect.values import readable

Row = Mapping[str, Any]
Adapter = Callable[[Iterable[Row]], Iterator["Pair | str"]]
SHOWN = 40  # characters of a field's name in a reason
_FAULTS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its response. ``thinking`` holds worked steps where the source has them; ``domain`` and
    ``task_type`` only where they differ from the source's own."""

    prompt: str
    response: str
    thinking: str | None = None
    domain: str | None = None
    task_type: str | None = None


def each(convert: Callable[[Row], Pair | None]) -> Adapter:
    """The adapter that converts row by row; a few words for a row that cannot be used, which say why."""

    def adapter(rows: Iterable[Row]) -> Iterator[Pair | str]:
        for row in rows:
            yield usable(lambda row=row: convert(readable(row)))  # type: ignore[misc]

    return adapter


def usable(make: Callable[[], Pair | None]) -> Pair | str:
    """What ``make`` makes if it is text to learn from; else a few words that say why not."""
    try:
        pair = make()
    except KeyError as missing:
        return f"no field {str(missing.args[0])[:SHOWN]!r}"
    except _FAULTS:
        return "fields of another shape"
    if pair is None:
        return "not in the source's form"
    for name, value in (("prompt", pair.prompt), ("response", pair.response)):
        if not isinstance(value, str):
            return f"no {name}" if value is None else f"{name} is {type(value).__name__}, not text"
        if not value.strip():
            return f"empty {name}"
    if not isinstance(pair.thinking, str | None) or not isinstance(pair.task_type, str | None):
        return "fields of another shape"
    return pair


def joined(*parts: str | None) -> str:
    """The parts that are there, with an empty line between them."""
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def without_calculator(text: str) -> str:
    """GSM8K's calculator notes (``<<48/2=24>>``) removed."""
    return re.sub(r"<<[^<>]*>>", "", text)

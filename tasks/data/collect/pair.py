"""What an adapter makes of a public record, and the small things adapters share.

An adapter is a function from a source's rows, in their order, to pairs; a row that has nothing to learn from gives none.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Adapter = Callable[[Iterable[Row]], Iterator["Pair | None"]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and its response. ``thinking`` holds worked steps where the source has them; ``domain`` and ``task_type`` only where
    they differ from the source's own."""

    prompt: str
    response: str
    thinking: str | None = None
    domain: str | None = None
    task_type: str | None = None


def each(convert: Callable[[Row], Pair | None]) -> Adapter:
    """The adapter that converts row by row; None for a row that cannot be used."""

    def adapter(rows: Iterable[Row]) -> Iterator[Pair | None]:
        for row in rows:
            try:
                pair = convert(row)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                pair = None
            yield pair if pair and pair.prompt.strip() and pair.response.strip() else None

    return adapter


def joined(*parts: str | None) -> str:
    """The parts that are there, with an empty line between them."""
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def without_calculator(text: str) -> str:
    """GSM8K's calculator notes (``<<48/2=24>>``) removed."""
    return re.sub(r"<<[^<>]*>>", "", text)

"""Records as JSON lines: one to a line, UTF-8, split on "\\n" only, since other line separators may be part of a text.

Not here: files from outside, whose rows may be anything (tasks/data/plain/files.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from blocks.records import Record

T = TypeVar("T", bound=Record)


def write(path: Path, rows: Iterable[Record]) -> int:
    """Write the rows; how many there were."""
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(row.model_dump_json() + "\n")
            count += 1
    return count


def read(path: Path, kind: type[T]) -> list[T]:
    """Read the rows; a file that is not there has none.

    Raises:
        ValidationError: a line is not a ``kind``.
    """
    return [kind.model_validate_json(line) for line in lines(path)]


def lines(path: Path) -> list[bytes]:
    """The lines as they stand, empty ones left out; a file that is not there has none."""
    return [line for line in path.read_bytes().split(b"\n") if line] if path.exists() else []

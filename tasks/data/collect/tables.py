"""Rows of .csv and .tsv files, every cell as the text it is, so that "None", "007" and "2024-03-01" stay what was
written.

A .tsv file is cut at tabs; a .csv file at what its first line has most of: commas, semicolons, tabs or bars. Cells may
be quoted and hold line breaks then; UTF-8, or UTF-16 with a byte order mark, as spreadsheets save it.
Not here: what a row means (the adapters).
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from configs.errors import BadInput
from tasks.data.plain.packing.unpacked import LINE, UTF32, raw_pieces, unmarked, whole_lines

SHOWN = 40  # characters of a name in a message
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile("sep=(.)")  # a first line as Excel writes it


def table_rows(path: Path) -> Iterator[dict[str, str | None]]:
    """The rows by the names in the first line; a cell that is missing at the end of a row is None. A row of more cells
    than names is empty: there is no telling which cell is which. A column without a name is left out, and so are empty
    cells beyond the last name.

    Raises:
        BadInput: a row cannot be read, or a name is there twice; names file and line.
        OSError: the file is damaged or cannot be read.
    """
    lines = _lines(path)
    head = next((line for line in lines if line.strip()), None)
    said = _SEPARATOR.fullmatch(head.strip("\r\n")) if head else None
    if said:
        head = next(lines, None)
    if head is None:
        return
    csv.field_size_limit(LINE)
    rows = csv.reader(chain((head,), lines), delimiter=said[1] if said else _delimiter(path, head), strict=True)
    try:
        names = [name.strip() for name in next(rows)]
        if double := [name for name, count in Counter(names).items() if count > 1 and name]:
            raise BadInput(f"{path}: the column {double[0][:SHOWN]!r} is there twice; rename one")
        for cells in rows:
            if not cells:
                continue
            filled = [*cells[: len(names)], *[None] * (len(names) - len(cells))]
            yield (
                {}
                if any(cells[len(names) :])
                else {name: cell for name, cell in zip(names, filled, strict=True) if name}
            )
    except csv.Error as error:
        raise BadInput(f"{path}:{rows.line_num}: {error}; quote cells and double the quotes in them") from None


def _delimiter(path: Path, head: str) -> str:
    if ".tsv" in path.suffixes[-2:]:
        return "\t"
    bare = "".join(head.split('"')[::2])  # what is not quoted
    return max(_DELIMITERS, key=bare.count)


def _lines(path: Path) -> Iterator[str]:
    """The lines with their ends."""
    came = raw_pieces(path)
    first = next(came, b"")
    found = chain((first,), came)
    wide = first.startswith((b"\xff\xfe", b"\xfe\xff")) and not first.startswith(UTF32)
    parts = (part.encode() for part in codecs.iterdecode(found, "utf-16")) if wide else iter(found)
    for data in whole_lines(unmarked(parts, path), path):
        for line in data.decode("utf-8").split("\n")[:-1]:
            yield f"{line}\n"

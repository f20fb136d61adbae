"""JSON files that are not one object a line, as public sets come: one array, one wrapped in an object ({"data":
[...]}), objects over several lines. Each element becomes a line; they are cut one after the other, so that only one is
in memory.

Not here: what an element says (json_text.py).
"""

import re
from collections.abc import Iterator
from enum import Enum
from itertools import chain
from pathlib import Path

from configs.errors import BadInput
from tasks.data.plain.packing.unpacked import LINE, pieces

AT_ONCE = 2**20
_WRAPPED = re.compile(rb'\s*\{\s*"(?:data|rows|records|examples|instances|items|train)"\s*:\s*\[(?=\s*[{\]])')
_SPREAD = re.compile(rb"\s*\{[ \t]*\r?\n")
_ARRAY = re.compile(rb"\s*\[")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
_BREAK = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t]*[\r\n]\s*', re.DOTALL)


class Layout(Enum):
    """How the objects stand in a file."""

    LINES = "one a line"
    ARRAY = "in an array"
    WRAPPED = "in an array in an object"
    SPREAD = "each over several lines"


def layout(path: Path) -> Layout:
    """How the objects stand; only a file named .json (also .json.zst, .json.gz) has them otherwise than one a line.

    Raises:
        BadInput: as in :func:`~tasks.data.plain.packing.unpacked.pieces`.
    """
    if ".json" not in path.suffixes[-2:]:
        return Layout.LINES
    try:
        head = next(pieces(path), b"")[:AT_ONCE]
    except OSError:
        return Layout.LINES  # who reads the lines says what is wrong
    for kind, pattern in ((Layout.ARRAY, _ARRAY), (Layout.WRAPPED, _WRAPPED), (Layout.SPREAD, _SPREAD)):
        if pattern.match(head):
            return kind
    return Layout.LINES


def elements(path: Path, kind: Layout) -> Iterator[list[bytes]]:
    """The objects as lines of JSON, some at a time, each as it stands but for its line breaks.

    Raises:
        BadInput: it is not such JSON, an element is no object, or too long.
    """
    ready: list[bytes] = []
    size = 0
    try:
        for element in _cut(path, kind):
            ready.append(_one_line(element, path))
            size += len(element)
            if size >= AT_ONCE:
                yield ready
                ready, size = [], 0
    except OSError as error:
        raise BadInput(f"{path}: not a JSON array that can be read ({error})") from None
    if ready:
        yield ready


def _one_line(element: bytes, path: Path) -> bytes:
    """The same JSON without line breaks."""
    if b"\n" not in element and b"\r" not in element:
        return element
    line = _BREAK.sub(lambda found: found[1] or b" ", element)
    if b"\n" in line:
        raise BadInput(
            f"{path}: a text goes over the end of a line ({line[:40].decode(errors='replace')!a} …); JSON writes that "
            "as \\n"
        )
    return line


def _cut(path: Path, kind: Layout) -> Iterator[bytes]:
    """Every object of the outermost level. ``rest`` is what is between two of them, or one that has not ended yet."""
    opening = {Layout.ARRAY: _ARRAY, Layout.WRAPPED: _WRAPPED}.get(kind)
    rest, count = b"", 0
    waiting: list[bytes] = []
    for piece in chain(pieces(path), (b"",)):  # an empty one for the end
        waiting.append(piece)
        if piece and sum(map(len, waiting)) < max(AT_ONCE, len(rest)):
            continue  # at least twice what was left over, so that no text is looked at often
        rest = b"".join([rest, *waiting])
        waiting = []
        if opening is not None and (head := opening.match(rest)):
            rest, opening = rest[head.end() :], None
        depth = begin = done = 0
        for token in _TOKEN.finditer(rest):
            sign = token[0][:1]
            if depth == 0 and sign != b"]":
                between = rest[done : token.start()].strip(b" \t\r\n")
                if sign != b"{" or between != (b"," if count and kind is not Layout.SPREAD else b""):
                    raise _no_array(path, count, rest[done : token.end()])
                begin = token.start()
            if sign == b'"' and len(token[0]) == 1:
                break  # a text that goes on in the next piece
            depth += (sign in b"{[") - (sign in b"}]")
            if depth < 0:
                break  # the end of the array
            if depth == 0:
                done = token.end()
                count += 1
                yield rest[begin:done]
        rest = rest[done:]
        if len(rest) > LINE:
            fault = f"element {count + 1} has more than {LINE >> 20} MiB, more than any record"
            raise BadInput(f"{path}: {fault}; cut it or leave it out")
    end = {Layout.ARRAY: rb"\s*\]\s*", Layout.WRAPPED: rb"\s*\]\s*\}\s*", Layout.SPREAD: rb"\s*"}[kind]
    if not re.fullmatch(end, rest):
        raise _no_array(path, count, rest)


def _no_array(path: Path, count: int, shown: bytes) -> BadInput:
    return BadInput(
        f"{path}: not a JSON array that can be read (after element {count}: "
        f"{shown.strip()[:40].decode(errors='replace')!a})"
    )

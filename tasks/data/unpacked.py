"""The bytes of a plain or packed file, and the rows of a JSON array, in which some public sets come. Not here: what a row says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from configs.errors import BadInput

AT_ONCE = 1000


def opened(path: Path) -> Any:
    """A stream of the file's bytes, unpacked as its name says (.zst, .gz). Arrow's streams notice a file that was cut off;
    zstandard's own reader takes that for the end.

    Raises:
        OSError: there, or while it is read: the file cannot be opened or is damaged.
    """
    from pyarrow import input_stream

    return input_stream(str(path), compression="detect")


def is_array(path: Path) -> bool:
    """Whether a file named .json (also .json.zst, .json.gz) holds one array instead of one object a line."""
    if ".json" not in path.suffixes[-2:]:
        return False
    try:
        with opened(path) as stream:
            return bytes(stream.read(64)).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
    except OSError:
        return False


def array_lines(path: Path) -> Iterator[list[bytes]]:
    """The elements of an array as lines of JSON, some at a time. The array is read whole: there is no telling where it can be cut.

    Raises:
        BadInput: it is not JSON.
    """
    try:
        with opened(path) as stream:
            rows = orjson.loads(bytes(stream.read()).removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a JSON array that can be read ({error})") from None
    for first in range(0, len(rows), AT_ONCE):
        yield [orjson.dumps(row) for row in rows[first : first + AT_ONCE]]

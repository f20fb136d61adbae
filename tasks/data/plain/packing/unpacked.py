"""The bytes of a plain or packed file (.zst, .gz), in pieces and in whole lines, within bounds: what a small file may
unpack to, and how long a line may be. So a file that was made to fill the memory is one clear line.

Not here: frames of Zstandard (zstd.py), rows of a JSON array (arrays.py), what a line says (json_text.py).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from configs.errors import BadInput
from tasks.data.plain.packing.zstd import frames

PIECE = 2**20
LINE = 2**26  # bytes of a line, which is in memory as a whole; the longest of the public sets has 1.4 MB
UNPACKED = 2**28  # bytes that any file may unpack to …
RATIO = 100  # … and beyond them so many times its own size; text packs 3 to 20 times, a bomb 200 times and more
MARK = b"\xef\xbb\xbf"
UTF32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", *UTF32)


class Expansion:
    """Counts what came out of a packed file, against its own size."""

    def __init__(self, path: Path) -> None:
        self._path, self._came = path, 0
        self._bound = max(UNPACKED, RATIO * path.stat().st_size)

    def add(self, count: int) -> None:
        """Take ``count`` more bytes.

        Raises:
            BadInput: it is more than such a file may hold.
        """
        self._came += count
        if self._came > self._bound:
            bound = f"{UNPACKED >> 20} MiB and {RATIO} times its own size"
            raise BadInput(
                f"{self._path}: unpacks to more than {bound}, as no text does; unpack it yourself if it is sound"
            )


def check(path: Path) -> None:
    """Refuse what is no plain file before it is opened: a pipe would be waited for.

    Raises:
        BadInput: names it.
    """
    try:
        odd = "no plain file; write its content to one" if path.exists() else "no such file"
        fault = None if path.is_file() else "a folder; name its files" if path.is_dir() else odd
    except (OSError, ValueError) as error:  # a name that is too long, a null byte in it
        fault = f"cannot be looked at ({error})"
    if fault:
        raise BadInput(f"{path}: {fault}")


def pieces(path: Path, at_once: int = PIECE) -> Iterator[bytes]:
    """The file's content, unpacked as its name says, without a byte order mark; a piece has any size up to some 32 MiB.

    Raises:
        BadInput: it unpacks to too much, or is UTF-16.
        OSError: it cannot be read, or is damaged or cut off.
    """
    return unmarked(raw_pieces(path, at_once), path)


def unmarked(parts: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """The pieces without a byte order mark in front of the first.

    Raises:
        BadInput: it is that of UTF-16.
    """
    for first in parts:
        if first.startswith(_UTF16):
            raise BadInput(f"{path}: UTF-{32 if first.startswith(UTF32) else 16}; save it as UTF-8")
        yield first.removeprefix(MARK)
        break
    yield from parts


def lines(path: Path) -> Iterator[list[bytes]]:
    """The file's lines, some at a time, without their "\\n"; those of white space are among them.

    Raises:
        BadInput, OSError: as in :func:`pieces`; or a line is too long.
    """
    for data in whole_lines(pieces(path), path):
        yield data[:-1].split(b"\n")


def whole_lines(parts: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """The same bytes in pieces that end with a line end, one added at the very end where it is missing.

    Raises:
        BadInput: a line is too long; names ``path`` and the line.
    """
    rest: list[bytes] = []
    waiting, number = 0, 1
    for part in parts:
        end, cut = part.find(b"\n"), part.rfind(b"\n") + 1
        if waiting + (end if cut else len(part)) > LINE:  # those inside of a part are shorter
            fault = f"a line of more than {LINE >> 20} MiB, longer than any record"
            raise BadInput(f"{path}:{number}: {fault}; cut it or leave it out")
        if not cut:
            rest.append(part)
            waiting += len(part)
            continue
        whole = b"".join([*rest, part[:cut]])
        yield whole
        number += whole.count(b"\n")
        rest, waiting = [part[cut:]] if cut < len(part) else [], len(part) - cut
    if rest:
        yield b"".join([*rest, b"\n"])


def raw_pieces(path: Path, at_once: int = PIECE) -> Iterator[bytes]:
    """As :func:`pieces`, in whatever encoding it is."""
    if path.suffix not in (".zst", ".gz"):
        with path.open("rb") as file:
            while data := file.read(at_once):
                yield data
        return
    expansion = Expansion(path)
    with path.open("rb") as file:
        for data in frames(file) if path.suffix == ".zst" else _gzip(path, at_once):
            expansion.add(len(data))
            yield data


def _gzip(path: Path, at_once: int) -> Iterator[bytes]:
    """Through Arrow, whose reader notices a file that was cut off."""
    from pyarrow import input_stream

    if path.stat().st_size == 0:
        raise OSError("empty, not even the beginning of a gzip file")
    with input_stream(str(path), compression="gzip") as stream:
        while data := stream.read(at_once):
            yield data

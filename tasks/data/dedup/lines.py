"""Lines of JSONL files, in order once and then again by row.

Plain files are read where they are. ``.zst``, ``.gz``, ``.parquet`` and JSON arrays are unpacked to a scratch file
without a name, so that a line can be read again; that takes their unpacked size on disk. Lines end with "\\n" alone; a
line of white space is no row. Not here: what a line says (fields.py).
"""

import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from configs.errors import BadInput
from tasks.data.dedup.block import Block
from tasks.data.dedup.parquet import ParquetRows, rows_as_lines
from tasks.data.plain.arrays import Layout, elements, layout
from tasks.data.plain.packing.unpacked import MARK, check, pieces, unmarked, whole_lines

BLOCK = 2**20
PACKED = (".zst", ".gz")
KINDS = (".jsonl", ".ndjson", ".json", *PACKED, ".parquet")


class _File(NamedTuple):
    path: Path
    descriptor: int
    state: tuple[int, int]
    first: int
    begins: np.ndarray
    lengths: np.ndarray
    numbers: np.ndarray


class Lines:
    """All rows of ``paths``. ``with Lines(paths, scratch) as lines``: first ``lines.blocks()`` to its end, then the
    rest, from any thread.

    Raises:
        BadInput: a path that is not there or of no known kind.
    """

    def __init__(self, paths: Sequence[Path], scratch: Path) -> None:
        for path in paths:
            if path.suffix not in KINDS:
                raise BadInput(f"{path}: cannot tell what it is from its name; use one of {', '.join(KINDS)}")
            check(path)
        self.paths, self.scratch, self.count = paths, scratch, 0
        self._files: list[_File] = []
        self._close = ExitStack()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        self._close.close()

    def blocks(self) -> Iterator[Block]:
        """Every row in order.

        Raises:
            BadInput: a file cannot be read or unpacked.
        """
        for path in self.paths:
            file = self._close.enter_context(path.open("rb", buffering=0))
            kept: IO[bytes] = file
            state = os.fstat(file.fileno())
            kind = layout(path)
            if path.suffix in (*PACKED, ".parquet") or kind is not Layout.LINES:
                kept = self._close.enter_context(tempfile.TemporaryFile(dir=self.scratch))  # noqa: SIM115 - the stack closes it
            begin = len(MARK) if kept is file and os.pread(file.fileno(), len(MARK), 0) == MARK else 0
            first, number = self.count, 1
            begins, lengths, numbers = [], [], []
            for data in whole_lines(_unpacked(path, file, kind), path):
                if kept is not file:
                    kept.write(data)
                lines = data.split(b"\n")[:-1]
                length = np.fromiter(map(len, lines), np.int64, len(lines))
                number_of = np.arange(number, number + len(lines))
                begin_of = begin + np.cumsum(length + 1) - length - 1
                begin, number = begin + len(data), number + len(lines)
                blank = [not line or line.isspace() for line in lines]
                if any(blank):
                    rows = ~np.array(blank)
                    lines = [line for line, skip in zip(lines, blank, strict=True) if not skip]
                    length, number_of, begin_of = length[rows], number_of[rows], begin_of[rows]
                begins.append(begin_of)
                lengths.append(length)
                numbers.append(number_of)
                if lines:
                    yield Block(path, self.count, lines, number_of)
                    self.count += len(lines)
            kept.flush()
            self._files.append(
                _File(
                    path=path,
                    descriptor=kept.fileno(),
                    state=(state.st_size, state.st_mtime_ns),
                    first=first,
                    begins=_joined(begins),
                    lengths=_joined(lengths),
                    numbers=_joined(numbers),
                )
            )

    def line(self, row: int) -> bytes:
        """A row's line again, without its end."""
        file = self._file(row)
        return os.pread(file.descriptor, int(file.lengths[row - file.first]), int(file.begins[row - file.first]))

    def where(self, row: int) -> tuple[Path, int]:
        """A row's file and line number."""
        file = self._file(row)
        return file.path, int(file.numbers[row - file.first])

    def copy(self, kept: np.ndarray, out: IO[bytes] | ParquetRows) -> None:
        """Write the lines of the rows where ``kept`` is true to ``out``, as they are and in order.

        Raises:
            BadInput: an input changed since it was read.
        """
        for file in self._files:
            now = file.path.stat()
            if (now.st_size, now.st_mtime_ns) != file.state:
                raise BadInput(f"{file.path}: changed while it was read; run again")
            if isinstance(out, ParquetRows) and file.path.suffix == ".parquet":
                out.copy(file.path, kept[file.first : file.first + len(file.begins)])
                continue
            rows = np.flatnonzero(kept[file.first : file.first + len(file.begins)])
            begins, ends = file.begins[rows], file.begins[rows] + file.lengths[rows] + 1
            breaks = np.flatnonzero(begins[1:] != ends[:-1]) + 1
            for begin, end in zip(
                begins[np.r_[0, breaks]] if len(rows) else [],
                ends[np.r_[breaks - 1, len(rows) - 1]] if len(rows) else [],
                strict=True,
            ):
                _copy_range(file.descriptor, int(begin), int(end), out)

    def _file(self, row: int) -> _File:
        return self._files[bisect_right(self._files, row, key=lambda file: file.first) - 1]


def _copy_range(descriptor: int, begin: int, end: int, out: IO[bytes] | ParquetRows) -> None:
    """Bytes ``begin`` … ``end`` - 1; the last of a file may be a line end that is not there."""
    data = b"\n"
    while begin < end:
        data = os.pread(descriptor, min(BLOCK, end - begin), begin)
        if not data:
            break
        out.write(data)
        begin += len(data)
    if begin < end:
        out.write(b"\n")


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _unpacked(path: Path, file: IO[bytes], kind: Layout) -> Iterator[bytes]:
    """The content in pieces of any size."""
    if path.suffix == ".parquet":
        yield from rows_as_lines(path)
    elif kind is not Layout.LINES:
        yield from (b"\n".join([*lines, b""]) for lines in elements(path, kind))
    elif path.suffix in PACKED:
        yield from _decompressed(path)
    else:
        yield from unmarked(iter(lambda: file.read(BLOCK), b""), path)


def _decompressed(path: Path) -> Iterator[bytes]:
    try:
        yield from pieces(path, BLOCK)
    except OSError as error:
        if error.errno is not None:
            raise
        raise BadInput(f"{path}: damaged, cannot be unpacked ({error})") from None

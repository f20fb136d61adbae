"""Where the tensors of a GGUF file lie, read within bounds and checked against the file.

Nothing is allocated by a count that the file only declares: every count is held against the bytes that are left. Not
here: the metadata as such (skipped), writing (tasks/compression/export/gguf_write.py), and llama.cpp's own loading,
which checks for itself.
"""

import mmap
import struct
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from configs.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from gguf.constants import GGMLQuantizationType

MAGIC = b"GGUF"
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of the metadata's value types
_UINT32, _STRING, _ARRAY = 4, 8, 9
_LONGEST_NAME = 1 << 16
_WIDEST_ALIGNMENT = 1 << 16


class Tensor(NamedTuple):
    """One tensor: its type, its shape as in the file (the row's length first), and where its bytes lie."""

    name: str
    kind: "GGMLQuantizationType"
    shape: tuple[int, ...]
    start: int
    bytes: int


def tensors(path: Path) -> list[Tensor]:
    """The tensors of the file in the order of their bytes.

    Raises:
        BadInput: no GGUF file (version 2 or 3, little-endian), or one that is cut short or does not describe itself.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise BadInput(f"{path} is not a GGUF file; export the model again")
        with path.open("rb") as stream:
            if stream.read(4) != MAGIC:
                raise BadInput(
                    f"{path} is not a GGUF file (it does not begin with {MAGIC.decode()}); export the model again"
                )
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data).tensors()
    except OSError as error:
        raise BadInput(f"cannot read the GGUF file {path}: {error.strerror}") from None


def values(path: Path, tensor: Tensor) -> "np.ndarray":
    """A tensor's values as float32, in Hugging Face's order of dimensions; the file is mapped, not read as a whole."""
    import numpy as np
    from gguf import quants

    rows = np.memmap(
        path,
        np.uint8,
        "r",
        offset=tensor.start,
        shape=(prod(tensor.shape[1:]), tensor.bytes // max(1, prod(tensor.shape[1:]))),
    )
    return np.array(quants.dequantize(rows, tensor.kind), dtype=np.float32).reshape(tuple(reversed(tensor.shape)))


class _Reader:
    """A position in the mapped file; every read checks that the bytes are there."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at, self.alignment = path, data, 4, 32

    def tensors(self) -> list[Tensor]:
        version = self.number("<I")
        if version not in (2, 3):
            raise self.damaged(f"version {version}")
        count, pairs = self.number("<Q"), self.number("<Q")
        # A pair takes 13 bytes at least (key's length, type, a byte), a tensor 28 (name's length, dimensions, one size,
        # type, offset).
        if pairs * 13 + count * 28 > len(self.data) - self.at:
            raise self.damaged(f"{count} tensors and {pairs} fields in {len(self.data)} bytes")
        keys: set[bytes] = set()
        for _ in range(pairs):
            key = self.text(_LONGEST_NAME)
            if key in keys:
                raise self.damaged(f"field {key[:60]!r} stands there twice")
            keys.add(key)
            self.skip_value(key)
        infos = [self.info() for _ in range(count)]
        begin = -(-self.at // self.alignment) * self.alignment
        found = sorted((self.placed(info, begin) for info in infos), key=lambda tensor: tensor.start)
        names = {tensor.name for tensor in found}
        if len(names) < len(found):
            raise self.damaged("two tensors of one name")
        for one, other in pairwise(found):
            if one.start + one.bytes > other.start:
                raise self.damaged(f"tensors {one.name!r} and {other.name!r} overlap")
        return found

    def info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.text(_LONGEST_NAME).decode("utf-8", "replace")
        dimensions = self.number("<I")
        if not 1 <= dimensions <= 4:
            raise self.damaged(f"tensor {name[:60]!r} has {dimensions} dimensions")
        shape = tuple(self.number("<Q") for _ in range(dimensions))
        return name, shape, self.number("<I"), self.number("<Q")

    def placed(self, info: tuple[str, tuple[int, ...], int, int], begin: int) -> Tensor:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        name, shape, number, offset = info
        try:
            kind = GGMLQuantizationType(number)
            block, size = GGML_QUANT_SIZES[kind]
        except (ValueError, KeyError):
            raise self.damaged(f"tensor {name[:60]!r} has the unknown type {number}") from None
        if min(shape) < 1 or shape[0] % block:
            raise self.damaged(f"tensor {name[:60]!r} has shape {shape} in blocks of {block}")
        start, length = begin + offset, prod(shape) // block * size
        if offset % self.alignment or start + length > len(self.data):
            raise self.damaged(f"tensor {name[:60]!r} of {length} bytes at {start} in a file of {len(self.data)}")
        return Tensor(name, kind, shape, start, length)

    def skip_value(self, key: bytes) -> None:
        kind = self.number("<I")
        if key == b"general.alignment":
            self.align(kind)
        elif kind == _STRING:
            self.text()
        elif kind == _ARRAY:
            self.skip_array(key)
        elif kind in _SCALARS:
            self.skip(_SCALARS[kind])
        else:
            raise self.damaged(f"field {key[:60]!r} has the unknown type {kind}")

    def skip_array(self, key: bytes) -> None:
        kind, count = self.number("<I"), self.number("<Q")
        if kind in _SCALARS:
            self.skip(count * _SCALARS[kind])
        elif kind == _STRING and count * 8 <= len(self.data) - self.at:
            for _ in range(count):
                self.text()
        else:
            raise self.damaged(f"field {key[:60]!r} is an array of {count} values of type {kind}")

    def align(self, kind: int) -> None:
        self.alignment = self.number("<I") if kind == _UINT32 else 0
        if not 0 < self.alignment <= _WIDEST_ALIGNMENT or self.alignment & (self.alignment - 1):
            raise self.damaged(f"an alignment of {self.alignment}")

    def text(self, longest: int | None = None) -> bytes:
        length = self.number("<Q")
        start = self.at
        self.skip(length if longest is None or length <= longest else len(self.data))
        return self.data[start : self.at] if longest else b""

    def number(self, form: str) -> int:
        start = self.at
        self.skip(struct.calcsize(form))
        return int(struct.unpack_from(form, self.data, start)[0])

    def skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise self.damaged(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count

    def damaged(self, why: str) -> BadInput:
        return BadInput(f"{self.path} is a damaged GGUF file ({why}); export the model again")

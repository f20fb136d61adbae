"""What a GGUF file holds: its metadata, and where its tensors lie, read within bounds and checked against the file.

Nothing is allocated by a count that the file only declares: every count is held against the bytes that are left. Not
here: what the metadata means (gguf_config.py, gguf_tokenizer.py), writing (tasks/compression/export/gguf_write.py), and
llama.cpp's own loading, which checks for itself.
"""

import mmap
import struct
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from configs.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from gguf.constants import GGMLQuantizationType

MAGIC = b"GGUF"
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SCALARS = {kind: struct.calcsize(form) for kind, form in _FORMS.items()}  # bytes of the metadata's value types
_UINT32, _STRING, _ARRAY = 4, 8, 9
_LONGEST_NAME = 1 << 16
_WIDEST_ALIGNMENT = 1 << 16
_LARGEST_METADATA = 256 << 20  # bytes; a vocabulary of 256,000 tokens takes 12 MB
_AT_ONCE = 1 << 24  # values that are dequantised at a time


class Tensor(NamedTuple):
    """One tensor: its type, its shape as in the file (the row's length first), and where its bytes lie."""

    name: str
    kind: "GGMLQuantizationType"
    shape: tuple[int, ...]
    start: int
    bytes: int


class GgufFile(NamedTuple):
    """``fields``: the metadata by its keys, texts as str; ``tensors``: in the order of their bytes."""

    fields: dict[str, Any]
    tensors: list[Tensor]


def tensors(path: Path) -> list[Tensor]:
    """The tensors of the file in the order of their bytes.

    Raises:
        BadInput: no GGUF file (version 2 or 3, little-endian), or one that is cut short or does not describe itself.
    """
    return _opened(path, keep=False).tensors


def read(path: Path) -> GgufFile:
    """The metadata and the tensors of the file.

    Raises:
        BadInput: as in :func:`tensors`; or a text of the metadata is not UTF-8.
    """
    return _opened(path, keep=True)


def _opened(path: Path, *, keep: bool) -> GgufFile:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise BadInput(f"{path} is not a GGUF file; export the model again")
        with path.open("rb") as stream:
            if stream.read(4) != MAGIC:
                raise BadInput(
                    f"{path} is not a GGUF file (it does not begin with {MAGIC.decode()}); export the model again"
                )
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data, keep).file()
    except OSError as error:
        raise BadInput(f"cannot read the GGUF file {path}: {error.strerror}") from None


def values(path: Path, tensor: Tensor) -> "np.ndarray":
    """A tensor's values as float32, in Hugging Face's order of dimensions; the file is mapped, not read as a whole.

    Raises:
        BadInput: of a type that cannot be turned into numbers.
    """
    import numpy as np
    from gguf import quants

    rows = np.memmap(
        path,
        np.uint8,
        "r",
        offset=tensor.start,
        shape=(prod(tensor.shape[1:]), tensor.bytes // max(1, prod(tensor.shape[1:]))),
    )
    found = np.empty((len(rows), tensor.shape[0]), dtype=np.float32)
    step = max(1, _AT_ONCE // tensor.shape[0])
    try:
        for start in range(0, len(rows), step):
            found[start : start + step] = quants.dequantize(rows[start : start + step], tensor.kind)
    except NotImplementedError:
        raise BadInput(f"{path}: {tensor.name} is stored in {tensor.kind.name}, which cannot be turned back") from None
    return found.reshape(tuple(reversed(tensor.shape)))


class _Reader:
    """A position in the mapped file; every read checks that the bytes are there."""

    def __init__(self, path: Path, data: mmap.mmap, keep: bool) -> None:
        self.path, self.data, self.at, self.alignment, self.keep = path, data, 4, 32, keep
        self.fields: dict[str, Any] = {}

    def file(self) -> GgufFile:
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
            key = self.bytes(_LONGEST_NAME)
            if key in keys:
                raise self.damaged(f"field {key[:60]!r} stands there twice")
            keys.add(key)
            value = self.value(key)
            if self.keep:
                if self.at > _LARGEST_METADATA:
                    raise self.damaged(f"more than {_LARGEST_METADATA} bytes of metadata")
                self.fields[key.decode("utf-8", "replace")] = value
        infos = [self.info() for _ in range(count)]
        begin = -(-self.at // self.alignment) * self.alignment
        found = sorted((self.placed(info, begin) for info in infos), key=lambda tensor: tensor.start)
        names = {tensor.name for tensor in found}
        if len(names) < len(found):
            raise self.damaged("two tensors of one name")
        for one, other in pairwise(found):
            if one.start + one.bytes > other.start:
                raise self.damaged(f"tensors {one.name!r} and {other.name!r} overlap")
        return GgufFile(self.fields, found)

    def info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.bytes(_LONGEST_NAME).decode("utf-8", "replace")
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

    def value(self, key: bytes) -> Any:
        """The next value of the metadata, or None where it is not kept."""
        kind = self.number("<I")
        if key == b"general.alignment":
            return self.align(kind)
        if kind == _STRING:
            return self.text(key)
        if kind == _ARRAY:
            return self.array(key)
        if kind in _SCALARS:
            return self.scalars(kind, 1, key)[0]
        raise self.damaged(f"field {key[:60]!r} has the unknown type {kind}")

    def array(self, key: bytes) -> Any:
        kind, count = self.number("<I"), self.number("<Q")
        if kind in _SCALARS:
            return self.scalars(kind, count, key)
        if kind == _STRING and count * 8 <= len(self.data) - self.at:
            return [self.text(key) for _ in range(count)]
        raise self.damaged(f"field {key[:60]!r} is an array of {count} values of type {kind}")

    def scalars(self, kind: int, count: int, key: bytes) -> list[Any]:
        start = self.at
        self.skip(count * _SCALARS[kind])
        if not self.keep:
            return [None]
        if self.at > _LARGEST_METADATA:
            raise self.damaged(f"field {key[:60]!r} has {count} values")
        return list(struct.unpack_from(f"<{count}{_FORMS[kind]}", self.data, start))

    def align(self, kind: int) -> int:
        self.alignment = self.number("<I") if kind == _UINT32 else 0
        if not 0 < self.alignment <= _WIDEST_ALIGNMENT or self.alignment & (self.alignment - 1):
            raise self.damaged(f"an alignment of {self.alignment}")
        return self.alignment

    def text(self, key: bytes) -> str | None:
        if not self.keep:
            self.skip(self.number("<Q"))
            return None
        try:
            return self.bytes(_LARGEST_METADATA).decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"field {key[:60]!r} is not UTF-8") from None

    def bytes(self, longest: int) -> bytes:
        length = self.number("<Q")
        start = self.at
        self.skip(length if length <= longest else len(self.data))
        return self.data[start : self.at]

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

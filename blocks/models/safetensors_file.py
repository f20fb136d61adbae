"""The header of a safetensors file, read within bounds and checked against the file, before a library maps or allocates
by it.

The format: eight bytes with the header's length, the header (JSON: name → dtype, shape, offsets), the values. Not here:
which tensors a model must have (student_folder.py).
"""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks.models import json_object
from configs.errors import BadInput

if TYPE_CHECKING:
    import torch

LARGEST = 16 << 20  # bytes of a header; a model of 405 billion weights has 130 kB
SIZES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


class Tensor(NamedTuple):
    """A tensor's description: dtype as the format names it, and shape."""

    dtype: str
    shape: tuple[int, ...]


def header(path: Path) -> dict[str, Tensor]:
    """Every tensor of the file, by name. The values fill the file: no gap, no overlap, nothing outside.

    Raises:
        BadInput: no safetensors file, or one whose header does not describe it.
    """
    try:
        size = path.stat().st_size if path.is_file() else -1  # a pipe would be waited for
        if size < 0:
            raise BadInput(f"{path}: missing, or no file; save the model again")
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(size - 8, LARGEST):
                raise _damaged(path, f"a header of {length} bytes in a file of {size}")
            plain = json_object.parse(stream.read(length), f"{path} (safetensors header)")
    except OSError as error:
        raise BadInput(f"{path}: not readable as safetensors ({error.strerror}); save the model again") from None
    if not isinstance(plain, dict):
        raise _damaged(path, "its header is no object")
    metadata = plain.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "its __metadata__ holds something but texts")
    found: dict[str, Tensor] = {}
    ends: list[tuple[int, int, str]] = []
    for name, entry in plain.items():
        found[name], start, end = _tensor(path, name, entry)
        ends.append((start, end, name))
    reached = 0
    for start, end, name in sorted(ends):
        if start != reached:
            raise _damaged(path, f"tensor {name[:80]!r} begins at {start}, the one before ends at {reached}")
        reached = end
    if reached != size - 8 - length:
        raise _damaged(path, f"its tensors take {reached} bytes, the file has {size - 8 - length} for them")
    return found


def load(path: Path) -> "dict[str, torch.Tensor]":
    """All tensors of a file whose header was checked.

    Raises:
        BadInput: as :func:`header`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header(path)
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise _damaged(path, str(error)) from None


def opened(path: Path) -> Any:
    """The library's lazy handle (torch tensors) on a file whose header was checked.

    Raises:
        BadInput: as :func:`header`.
    """
    from safetensors import SafetensorError, safe_open

    header(path)
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise _damaged(path, str(error)) from None


def _tensor(path: Path, name: str, entry: Any) -> tuple[Tensor, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"tensor {name[:80]!r} has not dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in SIZES if isinstance(dtype, str) else True:
        raise _damaged(path, f"tensor {name[:80]!r} has the unknown dtype {str(dtype)[:20]!r}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 8:
        raise _damaged(path, f"tensor {name[:80]!r} has shape {str(shape)[:60]} and offsets {str(offsets)[:60]}")
    if offsets[1] - offsets[0] != prod(shape) * SIZES[dtype]:
        raise _damaged(
            path, f"tensor {name[:80]!r} of shape {str(shape)[:60]} in {dtype} has {offsets[1] - offsets[0]} bytes"
        )
    return Tensor(dtype, tuple(shape)), offsets[0], offsets[1]


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(f"{path}: not readable as safetensors ({' '.join(why.split())[:200]}); save the model again")

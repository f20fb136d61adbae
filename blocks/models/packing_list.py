"""packing.json: which files a packed folder holds, and how each was packed. Read as from a stranger.

Everything that it declares is held against itself and against the folder before a byte is unpacked: names and kinds are
the known ones, sizes add up, pieces are as many as they have to be. Not here: packing and unpacking (zstd.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from blocks.models import json_object
from blocks.records import Record
from blocks.storage.folders import MANIFEST
from configs.errors import BadInput, DamagedArtifact

LIST, DICTIONARY = "packing.json", "dictionary.zst"
Kind = Literal["gguf", "gguf_adapter"]
NAMES: dict[str, str] = {
    "gguf": "model.gguf",
    "gguf_adapter": "adapter.gguf",
}  # kind → name of its file; only these are packed and unpacked
PIECE = 8 << 20  # bytes of a file that are packed at once
WIDEST = 4096  # bytes of a block; ggml's widest has 292
LARGEST_LIST, LARGEST_DICTIONARY = 32 << 20, 64 << 20  # bytes

_Size = Annotated[int, Field(strict=True, ge=0, lt=1 << 63)]


class Run(Record):
    """A stretch of a file: ``bytes`` of it, blocks of ``width`` bytes (1 where nothing is sorted), and the sizes of its
    packed pieces."""

    bytes: _Size
    width: Annotated[int, Field(strict=True, ge=1, le=WIDEST)]
    packed: tuple[Annotated[int, Field(strict=True, ge=1, le=2 * PIECE)], ...]


class Packed(Record):
    """How one file was packed, in order; ``sha256`` of the file itself."""

    name: str
    kind: Kind
    bytes: _Size
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    runs: tuple[Run, ...]


_ENTRIES: TypeAdapter[list[Packed]] = TypeAdapter(list[Packed])


def piece(width: int) -> int:
    """Bytes of a piece: whole blocks."""
    return PIECE // width * width


def write(folder: Path, entries: Sequence[Packed]) -> None:
    """Write the list, one file to a line."""
    (folder / LIST).write_text("[" + ",\n ".join(one.model_dump_json() for one in entries) + "]\n")


def read(folder: Path) -> list[Packed]:
    """The files of a packed folder, in order.

    Raises:
        DamagedArtifact: the list is missing, unreadable, or does not describe the folder.
    """
    path = folder / LIST
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_LIST:
            raise DamagedArtifact(f"{folder}: no {LIST} of at most {LARGEST_LIST} bytes; fetch it again")
        entries = _ENTRIES.validate_python(json_object.parse(path.read_bytes(), str(path)))
        _refuse_other_files(folder, len(entries))
        for number, entry in enumerate(entries):
            _refuse_sums(folder / f"{number}.zst", entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the list"
        raise DamagedArtifact(
            f"{path}: {where} is {str(first['input'])[:60]!r} ({first['msg'][:120]}); fetch it again"
        ) from None
    except OSError as error:
        raise DamagedArtifact(f"{folder}: not readable ({error.strerror}); fetch it again") from None
    except DamagedArtifact:
        raise
    except BadInput as error:
        raise DamagedArtifact(f"{error}; fetch it again") from None
    return entries


def _refuse_other_files(folder: Path, count: int) -> None:
    """The folder holds what the list says, as files of its own."""
    wanted = {LIST, *(f"{number}.zst" for number in range(count))}
    found = {path.name for path in folder.iterdir()}
    if other := sorted((found - wanted - {DICTIONARY, MANIFEST}) | (wanted - found)):
        raise DamagedArtifact(
            f"{folder}: {LIST} describes {count} files, but {other[0][:60]!r} is "
            f"{'missing' if other[0] in wanted else 'not one of them'}; fetch it again"
        )
    for name in sorted(found):
        if (folder / name).is_symlink() or not (folder / name).is_file():
            raise DamagedArtifact(f"{folder / name} is no file of its own; fetch it again")
    if DICTIONARY in found and (size := (folder / DICTIONARY).stat().st_size) > LARGEST_DICTIONARY:
        raise DamagedArtifact(
            f"{folder / DICTIONARY}: {size} bytes are more than a dictionary may have; fetch it again"
        )


def _refuse_sums(stored: Path, entry: Packed) -> None:
    """What the entry declares agrees with itself and with the packed file's size."""
    if entry.name != NAMES[entry.kind]:
        raise DamagedArtifact(
            f"{stored}: a {entry.kind} is named {entry.name[:60]!r} instead of {NAMES[entry.kind]!r}; fetch it again"
        )
    if (total := sum(run.bytes for run in entry.runs)) != entry.bytes:
        raise DamagedArtifact(f"{stored}: its stretches have {total} bytes, the file {entry.bytes}; fetch it again")
    for run in entry.runs:
        if len(run.packed) != -(-run.bytes // piece(run.width)):
            raise DamagedArtifact(
                f"{stored}: a stretch of {run.bytes} bytes has {len(run.packed)} pieces; fetch it again"
            )
    if (total := sum(size for run in entry.runs for size in run.packed)) != (size := stored.stat().st_size):
        raise DamagedArtifact(f"{stored}: its pieces have {total} bytes, the file {size}; fetch it again")

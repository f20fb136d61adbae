"""Unpacking what zstandard packed, with every byte checked, and the unpacked files that are kept for answering.

A packed folder may come from anywhere: nothing is allocated that it only declares. Not here: packing
(tasks/compression/packing/zstd.py), the folder's list (packing_list.py).
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from blocks.models import packing_list
from blocks.models.packing_list import Packed
from blocks.storage import locks
from blocks.storage.home import private_folder
from configs.errors import BadInput, DamagedArtifact

CACHE = "cache"  # in $COGUMI_HOME; may be removed at any time, and is filled again


def kept(folder: Path, number: int = 0) -> Path:
    """File ``number`` of a packed folder, unpacked once and kept in ``$COGUMI_HOME/cache`` under its SHA-256.

    What is kept is read again and held against that digest, so that no other bytes ever answer. Processes wait for each
    other; the file gets its name when it is whole.

    Raises:
        BadInput, DamagedArtifact: as :func:`unpack_to`.
    """
    entries = packing_list.read(folder)
    if not 0 <= number < len(entries):
        raise BadInput(f"{folder} has {len(entries)} files, no number {number}")
    entry = entries[number]
    place = private_folder(CACHE) / entry.sha256
    target = place / entry.name
    with locks.held(place.with_suffix(".lock")):
        if target.is_file() and _sha256(target) == entry.sha256:
            return target
        place.mkdir(mode=0o700, exist_ok=True)
        begun = place / f"{entry.name}.begun"  # one at most: the next one writes over it
        unpack_to(folder, number, begun)
        os.replace(begun, target)
    return target


def unpack_to(folder: Path, number: int, target: Path) -> None:
    """Unpack file ``number`` of a packed folder to ``target``, piece by piece; on any error there is no ``target``.

    Raises:
        BadInput: no such file, or less room than it takes.
        DamagedArtifact: the folder is not what was packed, or the unpacked bytes do not have the digest they were
            packed with.
    """
    entries = packing_list.read(folder)
    if not 0 <= number < len(entries):
        raise BadInput(f"{folder} has {len(entries)} files, no number {number}")
    entry = entries[number]
    if (free := shutil.disk_usage(target.parent).free) < entry.bytes:
        raise BadInput(
            f"cannot unpack {entry.name} to {target.parent}: it has {entry.bytes} bytes, the disk {free}; free the "
            "disk, or set COGUMI_STORE"
        )
    sha = hashlib.sha256()
    try:
        with target.open("wb") as out:
            for plain in _pieces(folder, number, entry):
                sha.update(plain)
                out.write(plain)
        if sha.hexdigest() != entry.sha256:
            raise DamagedArtifact(
                f"{folder / f'{number}.zst'}: unpacks to other bytes than were packed; fetch it again"
            )
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _pieces(folder: Path, number: int, entry: Packed) -> Iterator[bytes]:
    """The file's bytes in order, a piece at a time. A piece's frame says how large it is, which has to be what the list
    makes of it."""
    import zstandard

    stored, source = folder / packing_list.DICTIONARY, folder / f"{number}.zst"
    dictionary = zstandard.ZstdCompressionDict(stored.read_bytes()) if stored.exists() else None
    unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=2 * packing_list.PIECE)
    with source.open("rb") as stream:
        for run in entry.runs:
            for piece, size in enumerate(run.packed):
                expected = min(run.bytes - piece * packing_list.piece(run.width), packing_list.piece(run.width))
                packed = stream.read(size)
                try:
                    declared = zstandard.get_frame_parameters(packed).content_size
                    plain = (
                        unpacker.decompress(packed, max_output_size=expected, allow_extra_data=False)
                        if declared == expected
                        else b""
                    )
                except (zstandard.ZstdError, ValueError) as error:
                    raise DamagedArtifact(
                        f"{source}: not what was packed ({' '.join(str(error).split())[:120]}); fetch it again"
                    ) from None
                if len(plain) != expected:
                    raise DamagedArtifact(
                        f"{source}: not what was packed (a piece of {expected} bytes says it has {declared}); fetch it "
                        "again"
                    )
                yield _joined(plain, run.width)


def _joined(split_bytes: bytes, width: int) -> bytes:
    """The inverse of :func:`split`."""
    import numpy as np

    if width == 1:
        return split_bytes
    whole = len(split_bytes) // width * width
    return np.frombuffer(split_bytes, np.uint8, whole).reshape(width, -1).T.tobytes() + split_bytes[whole:]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Packing GGUF files for transport with zstandard.

A file goes through in pieces, so its size does not matter. Quantised blocks mix scales and values; with their bytes
sorted by position in the block ("byte planes") some types pack better, which is tried per tensor. A dictionary serves
many small files, such as adapters, that repeat each other; one large file only carries it, so it is kept only where
everything together gets smaller. Not here: unpacking (blocks/models/unpacking.py), the packed folder's list
(blocks/models/packing_list.py), formats (gguf_write.py). Quantised dense weights are nearly incompressible: expect
2–5%; zeros are what packs.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from blocks import store
from blocks.cores import at_most
from blocks.models import gguf_file, packing_list
from blocks.models.packing_list import NAMES, Packed, Run
from blocks.models.unpacking import unpack_to
from blocks.progress import progress
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Packing
from tasks.step import step

SAMPLE = 1 << 20  # bytes of a tensor on which byte planes are tried
ENOUGH = 10  # times as much text as dictionary; below, a dictionary only repeats its samples
SEGMENT = 200  # bytes that a dictionary takes over at once; given, so that no others are tried


@step(version=1)
def pack(artifacts: list[Artifact], settings: Packing) -> Artifact:
    """The files of ``artifacts`` (gguf, gguf_adapter) as 0.zst, 1.zst, … with packing.json; kind "packed".

    dictionary.zst is there where one helped. Metrics: fraction of the bytes that is left, megabytes, dictionary_kb.

    Raises:
        BadInput: nothing to pack, or an artifact of another kind.
    """
    files = [_file(artifact) for artifact in artifacts]
    if not files:
        raise BadInput("nothing to pack; give gguf or gguf_adapter artifacts")
    with store.create("packed", parents=artifacts, settings=settings) as made:
        plans = [list(_runs(path, settings)) for path in files]
        dictionary = _dictionary(files, plans, settings)
        if dictionary is not None:
            (made.path / "dictionary.zst").write_bytes(dictionary)
        packed = []
        with progress("packing", sum(path.stat().st_size for path in files)) as advance:
            for number, (artifact, path, plan) in enumerate(zip(artifacts, files, plans, strict=True)):
                with (made.path / f"{number}.zst").open("wb") as out:
                    runs, sha = _write(
                        path=path, plan=plan, out=out, settings=settings, dictionary=dictionary, advance=advance
                    )
                packed.append(
                    Packed(
                        name=path.name,
                        kind=cast(packing_list.Kind, artifact.kind),
                        bytes=path.stat().st_size,
                        sha256=sha,
                        runs=runs,
                    )
                )
        packing_list.write(made.path, packed)
        size = sum(path.stat().st_size for path in made.path.iterdir())
        made.metrics |= {
            "megabytes": size / 1e6,
            "fraction": size / sum(one.bytes for one in packed),
            "dictionary_kb": len(dictionary or b"") / 1000,
        }
    return made.artifact


@step(version=1)
def unpack(packed: Artifact, number: int = 0) -> Artifact:
    """The ``number``-th file of ``packed`` again, of the kind it had.

    Raises:
        BadInput: no such file.
        DamagedArtifact: the unpacked bytes are not those that were packed.
    """
    if packed.kind != "packed":
        raise BadInput(f"{packed.short} is a {packed.kind}; give an artifact of kind packed")
    folder = store.open(packed)
    entries = packing_list.read(folder)
    if not 0 <= number < len(entries):
        raise BadInput(f"{packed.short} has {len(entries)} files, no number {number}")
    with store.create(entries[number].kind, parents=[packed], settings={"number": number}) as made:
        unpack_to(folder, number, made.path / entries[number].name)
    return made.artifact


def split(plain: bytes, width: int) -> bytes:
    """The bytes of blocks of ``width`` sorted by position in the block; what is left over at the end stays there."""
    import numpy as np

    if width == 1:
        return plain
    whole = len(plain) // width * width
    return np.frombuffer(plain, np.uint8, whole).reshape(-1, width).T.tobytes() + plain[whole:]


def _file(artifact: Artifact) -> Path:
    if artifact.kind not in NAMES:
        raise BadInput(f"{artifact.short} is a {artifact.kind}; only {' and '.join(NAMES)} are packed")
    return store.open(artifact) / NAMES[artifact.kind]


def _runs(path: Path, settings: Packing) -> Iterator[tuple[int, int, int]]:
    """(start, bytes, width) of the stretches of a GGUF file: the header, then each tensor with its padding."""
    from gguf.constants import GGML_QUANT_SIZES

    size = path.stat().st_size
    tensors = gguf_file.tensors(path)
    starts = [tensor.start for tensor in tensors]
    yield 0, starts[0] if starts else size, 1
    for tensor, start, end in zip(tensors, starts, [*starts[1:], size], strict=True):
        width = int(GGML_QUANT_SIZES[tensor.kind][1])
        yield (
            start,
            end - start,
            width if settings.byte_planes and _planes_help(path, start, end - start, width, settings) else 1,
        )


def _planes_help(path: Path, start: int, size: int, width: int, settings: Packing) -> bool:
    import zstandard

    if width == 1:
        return False
    sample = _read(path, start, min(size, SAMPLE))
    compressor = zstandard.ZstdCompressor(level=settings.level)
    return len(compressor.compress(split(sample, width))) < len(compressor.compress(sample))


def _dictionary(files: Sequence[Path], plans: Sequence[list[tuple[int, int, int]]], settings: Packing) -> bytes | None:
    """A dictionary trained on the files' own stretches, or None where it does not pay for itself."""
    import zstandard

    if not settings.dictionary_kb:
        return None
    stretches = [(path, *one) for path, plan in zip(files, plans, strict=True) for one in plan]
    samples: list[bytes | bytearray | memoryview[int]] = [
        split(_read(path, start, min(size, 1 << 16)), width) for path, start, size, width in stretches if size >= 8
    ]
    if sum(len(sample) for sample in samples) < ENOUGH * settings.dictionary_kb * 1000:
        return None
    try:
        trained = zstandard.train_dictionary(settings.dictionary_kb * 1000, samples, k=SEGMENT, d=8, steps=1)
    except zstandard.ZstdError:
        return None  # too little to learn from
    plain, helped = (
        zstandard.ZstdCompressor(level=settings.level),
        zstandard.ZstdCompressor(level=settings.level, dict_data=trained),
    )
    saved = sum(len(plain.compress(sample)) - len(helped.compress(sample)) for sample in samples)
    return trained.as_bytes() if saved > len(trained.as_bytes()) else None


def _write(
    path: Path, plan: list[tuple[int, int, int]], out: Any, settings: Packing, dictionary: bytes | None, advance: Any
) -> tuple[tuple[Run, ...], str]:
    """Pack one file; pieces are packed by several threads and written in order."""
    import zstandard

    sha = hashlib.sha256()
    trained = zstandard.ZstdCompressionDict(dictionary) if dictionary is not None else None

    def one(piece: tuple[bytes, int]) -> bytes:
        return zstandard.ZstdCompressor(level=settings.level, dict_data=trained).compress(split(*piece))

    runs = []
    threads = at_most(settings.threads)
    with ThreadPoolExecutor(threads) as pool:
        for start, size, width in plan:
            sizes: list[int] = []
            step_bytes = packing_list.piece(width)
            positions = range(start, start + size, step_bytes)
            for group in range(0, len(positions), threads):
                pieces = [
                    _read(path, at, min(step_bytes, start + size - at)) for at in positions[group : group + threads]
                ]
                for piece, compressed in zip(pieces, pool.map(one, [(piece, width) for piece in pieces]), strict=True):
                    sha.update(piece)
                    out.write(compressed)
                    sizes.append(len(compressed))
                    advance(len(piece))
            runs.append(Run(bytes=size, width=width, packed=tuple(sizes)))
    return tuple(runs), sha.hexdigest()


def _read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)

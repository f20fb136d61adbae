"""Near-duplicate removal from files to a file, for inputs larger than memory.

The inputs are read once for descriptions of about 300 bytes per record (keys, sketches, digest, position), whose texts
are forgotten at once; then only the texts of likely duplicates are read again, and in the end the kept lines are copied
byte for byte. What is kept does not depend on the order of the lines or on how they are spread over files; copies of
equal quality are ranked by their whole lines.
Not here: how pairs are found and judged (near.py).
"""

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from blocks.progress import progress
from blocks.storage.whole_files import whole
from configs.errors import BadInput
from tasks.data.dedup.lines import KINDS
from tasks.data.dedup.near import Dedup, Linkage, Method, resolve
from tasks.data.dedup.parallel import Workers
from tasks.data.dedup.parquet import ParquetRows
from tasks.data.plain.json_text import dumps, parse
from tasks.data.plain.packing.packed import packed

Sink = IO[bytes] | ParquetRows
_USERS = (  # what whoever named the files can mend
    errno.ENOSPC,
    errno.EROFS,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.EINVAL,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


def dedup_files(
    inputs: Sequence[Path],
    output: Path,
    *,
    pairs: Path | None = None,
    quality: str = "metadata.quality_score",
    threshold: float = 0.8,
    shingle: int = 3,
    permutations: int = 128,
    bands: int = 16,
    rows: int = 8,
    linkage: Linkage = "star",
    seed: int = 0,
    threads: int = 2,
    fold: bool = False,
) -> dict[str, float]:
    """Copy the lines of ``inputs`` that :func:`~tasks.data.dedup.near.deduplicate` keeps to ``output``, in input order.

    Args:
        inputs: JSONL files (.jsonl, .json, .jsonl.zst, .jsonl.gz) or .parquet, whose rows become lines of JSON. A
            record has ``prompt`` and ``response``, or Alpaca's or Dolly's fields; ``id`` where it has one.
        output: JSONL, packed where its name ends with .zst or .gz, or .parquet; it appears whole or not at all.
        pairs: JSONL with ``dropped``, ``keeper`` (ids; file:line without one) and ``jaccard`` of every dropped record.
        quality: where a record has its quality, higher is better; names joined by dots. Records without it count 0.
        threshold, shingle, permutations, bands, rows, linkage, seed, threads, fold: as in ``deduplicate``.

    Returns:
        ``records``, ``exact_duplicates``, ``near_duplicates``, ``clusters``, ``kept``, ``seconds``,
        ``records_per_second``.

    Raises:
        BadInput: a file or line that cannot be used, named; a full disk. ``output`` and ``pairs`` are unchanged then.
    """
    started = time.monotonic()
    method = Method(
        threshold=threshold,
        shingle=shingle,
        permutations=permutations,
        bands=bands,
        rows=rows,
        linkage=linkage,
        seed=seed,
        threads=threads,
        fold=fold,
    )
    method.check()
    inputs, output = [Path(path) for path in inputs], Path(output)
    for target in (output, pairs):
        if target is not None and Path(target).suffix not in KINDS:
            raise BadInput(f"{target}: cannot tell from its name what to write; use one of {', '.join(KINDS)}")
    try:
        for target in (output, pairs):
            if target is not None:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
        result = _run(inputs, output, pairs, quality, method)
    except OSError as error:
        if error.errno in _USERS:
            raise BadInput(f"dedup: cannot read or write {error.filename or output.parent}: {error.strerror}") from None
        raise
    seconds = time.monotonic() - started
    records = len(result.kept) + len(result.duplicates)
    return {
        "records": records,
        "exact_duplicates": result.exact_duplicates,
        "near_duplicates": result.near_duplicates,
        "clusters": result.clusters,
        "kept": len(result.kept),
        "seconds": round(seconds, 3),
        "records_per_second": round(records / max(seconds, 1e-9), 1),
    }


def _run(inputs: Sequence[Path], output: Path, pairs: Path | None, quality: str, method: Method) -> Dedup:
    import numpy as np

    from tasks.data.dedup.fields import text
    from tasks.data.dedup.lines import Lines
    from tasks.data.dedup.signatures import banding, joined

    how = banding(method.permutations, method.bands, method.rows, method.shingle, method.seed)
    with Lines(inputs, output.parent) as lines, Workers(method.threads) as workers:
        described, qualities = [], []
        with progress("dedup: read", None) as advance:
            for one, values in workers.map(lambda block: _describe(block, quality, how, method.fold), lines.blocks()):
                described.append(one)
                qualities.append(values)
                advance(len(values))

        def read(rows: np.ndarray) -> list[str]:
            return [text(parse(lines.line(row), str(row))) for row in rows.tolist()]

        whole = joined(described, how)
        result = resolve(
            described=whole,
            qualities=np.concatenate([np.zeros(0), *qualities]),
            tie=lines.line,
            read=read,
            method=method,
            workers=workers,
            scratch=output.parent,
        )
        kept = np.zeros(lines.count, np.bool_)
        kept[result.kept] = True
        with _all_or_none([output] if pairs is None else [output, Path(pairs)]) as files:
            lines.copy(kept, files[0])
            if pairs is not None:
                for dropped, keeper, jaccard in result.duplicates:
                    files[1].write(
                        dumps({"dropped": _id(lines, dropped), "keeper": _id(lines, keeper), "jaccard": jaccard})
                        + b"\n"
                    )
    return result


def _describe(block: Any, quality: str, how: Any, fold: bool) -> tuple[Any, Any]:
    """Descriptions and qualities of a block's records."""
    import numpy as np

    from tasks.data.dedup import fields
    from tasks.data.dedup.signatures import describe, nothing_described
    from tasks.data.dedup.text import chunk

    texts, values = fields.read(block, quality.split("."))
    out = nothing_described(len(texts), how)
    describe(chunk(texts, 0, how.shingle, fold), how, out)
    return out, np.array(values)


def _id(lines: Any, row: int) -> Any:
    path, number = lines.where(row)
    name = f"{path.name}:{number}"
    found = parse(lines.line(row), name).get("id")
    return name if found is None else found


@contextmanager
def _all_or_none(paths: Sequence[Path]) -> Iterator[list[Sink]]:
    """What to write to for ``paths``, packed as their names say; they appear together, when all of them are whole."""
    with whole(paths) as files, ExitStack() as packing:
        yield [_sink(path, file, packing) for path, file in zip(paths, files, strict=True)]


def _sink(path: Path, file: IO[bytes], packing: ExitStack) -> Sink:
    """A file to write to whose content reaches ``file`` as the name of ``path`` says, whole when ``packing`` ends."""
    if path.suffix == ".parquet":
        return packing.enter_context(ParquetRows(path, file))
    return packing.enter_context(packed(path, file))

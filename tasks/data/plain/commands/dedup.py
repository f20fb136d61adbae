"""``cogumi data dedup``: near-duplicates of plain files. Not here: how they are found, and the files themselves
(tasks/data/dedup/)."""

from collections.abc import Sequence
from pathlib import Path

from blocks.cores import at_most
from blocks.records import Record
from configs.phases.data import NearDuplicates
from tasks.data.dedup import files


class DedupReport(Record):
    """``data dedup``. ``clusters``: records that others were dropped for."""

    records: int
    exact_duplicates: int
    near_duplicates: int
    clusters: int
    kept: int
    seconds: float
    records_per_second: float


def dedup_files(
    inputs: Sequence[Path], out: Path, settings: NearDuplicates, seed: int, pairs: Path | None = None
) -> DedupReport:
    """Write the best record of each cluster of near-duplicates, in the order of the input, every line as it was.

    Args:
        inputs: the files to read.
        out: the file to write.
        settings: threshold, shingles, banding, folding, linkage, as in the pipeline's step.
        seed: of the hash functions.
        pairs: JSON lines of every dropped record: ``dropped`` and ``keeper`` (ids), ``jaccard``.
    """
    report = files.dedup_files(
        inputs,
        out,
        pairs=pairs,
        threshold=settings.threshold,
        shingle=settings.shingle,
        permutations=settings.permutations,
        bands=settings.bands,
        rows=settings.rows,
        linkage=settings.linkage,
        seed=seed,
        threads=at_most(settings.threads),
        fold=settings.fold,
    )
    return DedupReport.model_validate(report)

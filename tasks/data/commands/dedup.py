"""``cogumi data dedup``: near-duplicates of plain files. Not here: how they are found (tasks/data/dedup/)."""

from collections.abc import Sequence
from pathlib import Path

from blocks.records import Record
from configs.phases.data import NearDuplicates
from tasks.data.commands.clock import Clock
from tasks.data.files import Plain, read, writer
from tasks.data.near_duplicates import compared, find


class DedupReport(Record):
    """``data dedup``. ``clusters``: records that others were dropped for."""

    records: int
    exact_duplicates: int
    near_duplicates: int
    clusters: int
    kept: int
    seconds: float
    records_per_second: float


def dedup_files(inputs: Sequence[Path], out: Path, settings: NearDuplicates, seed: int, pairs: Path | None = None) -> DedupReport:
    """Write one record of each cluster of near-duplicates, in the order of the input.

    Args:
        inputs: the files to read.
        out: the file to write.
        settings: threshold, shingles, banding, linkage.
        seed: of the hash functions.
        pairs: JSON lines of every dropped record: id, keeper, jaccard.
    """
    clock = Clock()
    ids, texts, scores = [], [], []
    for _, record in read(inputs):
        ids.append(record.id)
        texts.append(compared(record.prompt, record.response))
        scores.append(_score(record))
    found = find(texts, scores, settings, seed)
    kept = set(found.kept)
    with writer(out) as write:
        for place, (_, record) in enumerate(read(inputs)):
            if place in kept:
                write(record)
    if pairs:
        with writer(pairs) as write:
            for dropped, keeper, jaccard in found.duplicates:
                write(Plain(ids[dropped], "", "", {"id": ids[dropped], "keeper": ids[keeper], "jaccard": round(jaccard, 6)}))
    return DedupReport(
        records=len(texts),
        exact_duplicates=found.exact_duplicates,
        near_duplicates=found.near_duplicates,
        clusters=found.clusters,
        kept=len(kept),
        seconds=clock.seconds(),
        records_per_second=clock.per_second(len(texts)),
    )


def _score(record: Plain) -> float:
    """The record's quality, if it says one; all others count alike."""
    metadata = record.row.get("metadata")
    value = metadata.get("quality_score") if isinstance(metadata, dict) else record.row.get("quality_score")
    return float(value) if isinstance(value, int | float) and value == value else 0.0

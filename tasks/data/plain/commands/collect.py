"""``cogumi data collect``: public records into one file. Not here: the sources and how they are ranked
(tasks/data/collect/)."""

from collections.abc import Sequence
from pathlib import Path

from blocks.records import Record
from configs.errors import BadInput
from configs.phases.collecting import SourceQuota
from tasks.data.collect.collect import Collected, collect_source
from tasks.data.plain.commands.clock import Clock
from tasks.data.plain.files import writer
from tasks.data.plain.record import Plain


class CollectReport(Record):
    """``data collect``."""

    records: int
    sources: tuple[Collected, ...]
    seconds: float


def collect_files(sources: Sequence[str], out: Path, records: int, keep: int | None = None) -> CollectReport:
    """Write the best records of public sources to ``out``.

    Args:
        sources: ``NAME`` (read from the hub) or ``NAME=PATTERN`` (local files); the names are those of
            collect/sources.py.
        out: the file to write.
        records: rows read from each source, at most.
        keep: records kept of each, the best by the heuristic; None = all that can be used.

    Raises:
        BadInput: a source cannot be read, or there are rows and none of them can be used.
    """
    clock = Clock()
    reports = []
    with writer(out) as write:
        for entry in sources:
            name, named, pattern = entry.partition("=")
            if named and not pattern:
                raise BadInput(f"{entry}: names no files; write {name}=FILES, or {name} to read it from the hub")
            quota = SourceQuota(records=records, keep=keep or records, files=(pattern,) if pattern else ())
            examples, report = collect_source(name, quota, None)
            reports.append(report)
            for example in examples:
                row = example.model_dump(mode="json", exclude={"lineage"})
                write(Plain(example.id, example.prompt, example.response, row))
        _check_kept(reports)
    return CollectReport(
        records=sum(report.kept for report in reports), sources=tuple(reports), seconds=clock.seconds()
    )


def _check_kept(reports: Sequence[Collected]) -> None:
    """Refuse a result without a record where there were rows: the files are of another source or another shape.

    Raises:
        BadInput: says why the rows could not be used.
    """
    if any(report.kept for report in reports) or not any(report.read for report in reports):
        return
    why = (
        f"{report.source}: {', '.join(f'{count} {reason}' for reason, count in report.reasons.items())}"
        for report in reports
        if report.read
    )
    raise BadInput(
        f"none of the {sum(report.read for report in reports)} rows can be used ({'; '.join(why)}); is it the right "
        "source for these files?"
    )

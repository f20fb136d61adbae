"""``cogumi data stats``: what is in plain files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from blocks.records import Record
from tasks.data import rows
from tasks.data.plain.commands.clock import Clock
from tasks.data.plain.files import read


class StatsReport(Record):
    """``data stats``. Lengths are in whitespace words; ``fields`` counts the records that have one."""

    records: int
    fields: dict[str, int]
    words: dict[str, dict[str, float]]
    by: dict[str, dict[str, int]]
    distinct_prompts: int
    seconds: float


def stats_files(inputs: Sequence[Path]) -> StatsReport:
    """Count what is in the files."""
    clock = Clock()
    fields: Counter[str] = Counter()
    lengths: dict[str, list[int]] = {"prompt": [], "response": []}
    by: dict[str, Counter[str]] = {
        name: Counter() for name in ("domain", "difficulty", "task_type", "source", "license", "teacher_model")
    }
    prompts: set[int] = set()
    for _, record in read(inputs):
        fields.update(name for name, value in record.row.items() if value is not None)
        lengths["prompt"].append(len(record.prompt.split()))
        lengths["response"].append(len(record.response.split()))
        prompts.add(hash(rows.folded(record.prompt)))
        metadata = record.row.get("metadata")
        for name, counter in by.items():
            if isinstance(metadata, dict) and metadata.get(name) is not None:
                counter[str(metadata[name])] += 1
    return StatsReport(
        records=len(lengths["prompt"]),
        fields=dict(sorted(fields.items())),
        words={name: _quantiles(values) for name, values in lengths.items()},
        by={name: dict(counter.most_common()) for name, counter in by.items() if counter},
        distinct_prompts=len(prompts),
        seconds=clock.seconds(),
    )


def _quantiles(values: list[int]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    shown = {
        name: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
        for name, share in (("p5", 0.05), ("median", 0.5), ("p95", 0.95))
    }
    return {"mean": round(sum(ordered) / len(ordered), 2), "shortest": ordered[0], **shown, "longest": ordered[-1]}

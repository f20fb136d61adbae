"""The dataset's statistics and its card: composition, licences, what each stage dropped and why, what it cost.

The card opens with the metadata block that the Hugging Face hub and ``datasets.load_dataset`` read. Not here: measuring
(verify.py).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from blocks import store
from blocks.records import Artifact, Example

_BUCKETS = (
    (0, 1_000, "n<1K"),
    (1_000, 10_000, "1K<n<10K"),
    (10_000, 100_000, "10K<n<100K"),
    (100_000, 1_000_000, "100K<n<1M"),
)


def statistics(train: list[Example], validation: list[Example], stages: Mapping[str, Artifact]) -> dict[str, Any]:
    """Everything the card says, as plain data."""
    everything = train + validation
    scores = [example.metadata.quality_score for example in everything]
    tokens = sorted(example.metadata.token_count for example in everything)
    calls = {call.call: call.dollars for example in everything for call in example.lineage}
    manifests = {name: store.manifest(artifact) for name, artifact in stages.items()}
    return {
        "rows": {"train": len(train), "validation": len(validation)},
        "composition": _table(everything, "domain", "difficulty"),
        "teachers": _table(everything, "teacher_model", "license"),
        "sources": _table(everything, "source", "license"),
        "quality": {"mean": sum(scores) / len(scores) if scores else 0.0, "by_score": {str(score): count for score,
        count in sorted(Counter(scores).items())}},
        "tokens": {"total": sum(tokens), "median": tokens[len(tokens) // 2] if tokens else 0,
        "longest": tokens[-1] if tokens else 0},
        "stages": {name: {"artifact": artifact.short, **_numbers(artifact)} for name, artifact in stages.items()},
        "dollars": {"by_stage": {name: str(found.dollars) for name, found in manifests.items()},
        "total": str(sum((found.dollars for found in manifests.values()), Decimal(0))),
                    "of_kept_rows": str(sum(calls.values(), Decimal(0))), "calls_of_kept_rows": len(calls)},
    }  # fmt: skip


def _numbers(artifact: Artifact) -> dict[str, float]:
    return {key: int(value) if value == int(value) else value for key, value in sorted(artifact.metrics.items())}


def card(stats: dict[str, Any]) -> str:
    """README.md of the dataset."""
    total = sum(stats["rows"].values())
    size = next((name for low, high, name in _BUCKETS if low <= total < high), "n>1M")
    licences = sorted({row["license"] for row in stats["sources"]})
    head = f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: parquet/train.parquet
  - split: validation
    path: parquet/validation.parquet
language:
- en
size_categories:
- {size}
task_categories:
- text-generation
---
# Instruction dataset

{stats["rows"]["train"]} training and {stats["rows"]["validation"]} validation examples, {stats["tokens"]["total"]} \
tokens
(median {stats["tokens"]["median"]}, longest {stats["tokens"]["longest"]}), mean score {stats["quality"]["mean"]:.2f} \
of 10.
Rows are JSON lines, split on "\\n" only: `id`, `prompt`, `draft` and `thinking` (hard examples), `response`, \
`metadata`, and `lineage`:
every teacher call that wrote, rated, answered or scored the row, with its price in dollars.
"""
    return "\n".join(
        [
            head,
            "## Composition\n",
            _markdown(["domain", "difficulty", "examples"], stats["composition"], ["domain", "difficulty", "rows"]),
            "## Licences\n",
            f"Rows carry one of: {', '.join(licences)}. Combined use must satisfy all of them.\n",
            _markdown(["source", "licence", "examples"], stats["sources"], ["source", "license", "rows"]),
            "## Teachers\n",
            _markdown(
                ["teacher", "licence of its answers", "examples"],
                stats["teachers"],
                ["teacher_model", "license", "rows"],
            ),
            "## How it came about\n",
            "What each stage kept, what it rejected and why. Rejected rows stand, with their reason, in the stage's "
            "`rejects.jsonl`.\n",
            _stages(stats["stages"]),
            "## Costs\n",
            f"{stats['dollars']['total']} dollars for all calls, of which {stats['dollars']['of_kept_rows']} made the "
            "rows above"
            f" ({stats['dollars']['calls_of_kept_rows']} calls).\n",
            "| stage | dollars |\n|---|---|\n"
            + "".join(f"| {name} | {dollars} |\n" for name, dollars in stats["dollars"]["by_stage"].items()),
        ]
    )


def _table(examples: Iterable[Example], *fields: str) -> list[dict[str, Any]]:
    """Counts by two metadata fields, as rows."""
    counts = Counter(tuple(getattr(example.metadata, field) for field in fields) for example in examples)
    return [{**dict(zip(fields, values, strict=True)), "rows": count} for values, count in sorted(counts.items())]


def _markdown(titles: list[str], table: list[dict[str, Any]], fields: list[str]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(str(row[field]) for field in fields) + " |" for row in table]
    return "\n".join(lines) + "\n"


def _stages(stages: dict[str, dict[str, Any]]) -> str:
    lines = ["| stage | kept | rejected |", "|---|---|---|"]
    for name, numbers in stages.items():
        kept = numbers.get("kept", numbers.get("questions", ""))
        reasons = {
            key.removeprefix("rejected_"): value for key, value in numbers.items() if key.startswith("rejected_")
        }
        whole = (kept or 0) + sum(reasons.values())
        shown = (
            ", ".join(f"{reason} {count} ({100 * count / whole:.1f}%)" for reason, count in reasons.items())
            if whole
            else ""
        )
        lines.append(f"| {name} | {kept} | {shown} |")
    return "\n".join(lines) + "\n"

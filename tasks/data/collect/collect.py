"""Public records: read from each source, ranked by the heuristic, the best kept, with licence and revision recorded.

Not here: the sources (sources.py), filtering and duplicates (the steps after this one do that for all rows alike).
"""

import hashlib
import heapq
import json
from collections import Counter
from itertools import islice

from blocks import store
from blocks.progress import progress
from blocks.records import Artifact, Example, Metadata, Record
from configs.phases.collecting import Collecting, SourceQuota
from tasks.data import rows
from tasks.data.collect import reader
from tasks.data.collect.pair import Pair
from tasks.data.collect.quality import quality
from tasks.data.collect.sources import Source, source
from tasks.data.tokens import Count, counter
from tasks.step import step

SOURCES_FILE = "sources.json"
REASONS = 10  # that a report names, the most frequent first


class Collected(Record):
    """What was read from one source. ``unusable``: rows without a prompt and a response; ``reasons``: how many of them
    why."""

    source: str
    hub: str
    license: str
    revision: str
    files: tuple[str, ...]
    read: int
    unusable: int
    kept: int
    reasons: dict[str, int]


@step(version=3)
def collect(settings: Collecting, tokenizer: str) -> Artifact:
    """The best records of every source; an artifact of kind "examples" with sources.json. Without sources it is
    empty."""
    count = counter(tokenizer) if settings.sources else None
    examples: list[Example] = []
    reports: list[Collected] = []
    for name, quota in settings.sources.items():
        found, report = collect_source(name, quota, count)
        examples += found
        reports.append(report)
    with store.create("examples", settings={"collecting": settings.identity(), "tokenizer": tokenizer}) as folder:
        rows.record(folder, rows.EXAMPLES, examples, [])
        (folder.path / SOURCES_FILE).write_text(
            json.dumps([report.model_dump(exclude={"reasons"}) for report in reports], indent=1)
        )
        for report in reports:
            folder.metrics[f"kept_{report.source}"] = report.kept
    return folder.artifact


def collect_source(name: str, quota: SourceQuota, count: Count | None) -> tuple[list[Example], Collected]:
    """The best ``quota.keep`` of the first ``quota.records`` rows, best first. ``count``: None counts whitespace
    words."""
    known = source(name)
    revision = reader.revision(known, quota.files)
    read = 0
    reasons: Counter[str] = Counter()
    best: list[tuple[float, int, Pair]] = []  # a heap: the worst in front; of equal ones the later is worse
    with progress(f"collecting {name}", quota.records) as advance:
        for pair in known.adapter(islice(reader.rows(known, quota.files), quota.records)):
            read += 1
            advance()
            if isinstance(pair, str):
                reasons[pair] += 1
                continue
            entry = (quality(pair), -read, pair)
            if len(best) < quota.keep:
                heapq.heappush(best, entry)
            elif entry[:2] > best[0][:2]:
                heapq.heapreplace(best, entry)
    ranked = sorted(best, key=lambda entry: entry[:2], reverse=True)
    lengths = (count or counter("words"))(
        ["\n".join(filter(None, (pair.prompt, pair.thinking, pair.response))) for _, _, pair in ranked]
    )
    examples = [
        as_example(name, known, pair, score, tokens) for (score, _, pair), tokens in zip(ranked, lengths, strict=True)
    ]
    report = Collected(
        source=name,
        hub=known.hub,
        license=known.license,
        revision=revision,
        files=quota.files,
        read=read,
        unusable=reasons.total(),
        kept=len(examples),
        reasons=dict(reasons.most_common(REASONS)),
    )
    return examples, report


def as_example(name: str, known: Source, pair: Pair, score: float, tokens: int) -> Example:
    """An example from a public pair. Worked steps make it a hard one, without a draft: nobody wrote a first attempt."""
    hard = pair.thinking is not None
    metadata = Metadata.model_validate(
        {
            "domain": pair.domain or known.domain,
            "difficulty": "hard" if hard else "easy",
            "task_type": pair.task_type or known.task_type,
            "complexity": "medium" if hard else "low",
            "requires_reasoning": hard,
            "token_count": tokens,
            "quality_score": score,
            "teacher_model": "none",
            "source": name,
            "license": known.license,
        }
    )
    digest = hashlib.sha256(f"{pair.prompt}\n{pair.response}".encode()).hexdigest()[:12]
    return Example(
        id=f"{name}-{digest}", prompt=pair.prompt, thinking=pair.thinking, response=pair.response, metadata=metadata
    )

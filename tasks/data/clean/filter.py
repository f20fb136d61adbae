"""The rule filters over all examples: what stays, what goes and why, and each filter's rate.

Not here: the rules themselves (filters/), and similarity to other records (near_duplicates.py, decontaminate.py).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from blocks import store
from blocks.cores import at_most
from blocks.records import Artifact, Example
from configs.phases.filtering import Filters
from tasks.data import rows
from tasks.data.clean.filters.table import TABLE, objection
from tasks.data.clean.filters.text import Text
from tasks.data.plain.processes import pool
from tasks.data.tokens import counter
from tasks.step import step

Objection = tuple[str, str] | None
POOL_FROM = 5000  # below this the processes cost more than they bring
CHUNK = 500


@step(version=1)
def filter_examples(examples: list[Artifact], settings: Filters, tokenizer: str) -> Artifact:
    """Drop every example that a filter objects to; an artifact of kind "examples"."""
    read = rows.examples(*examples)
    objections = judge_texts([as_text(example) for example in read], settings, tokenizer)
    kept: list[Example] = []
    rejects: list[rows.Reject] = []
    for example, found in zip(read, objections, strict=True):
        if found is None:
            kept.append(example)
        else:
            rejects.append(
                rows.Reject(
                    id=example.id,
                    stage="filter",
                    reason=found[0],
                    detail=found[1],
                    prompt=_shown(example, found[0]),
                    lineage=example.lineage,
                )
            )
    with store.create(
        "examples", parents=examples, settings={"filters": settings.identity(), "tokenizer": tokenizer}
    ) as folder:
        rows.record(folder, rows.EXAMPLES, kept, rejects)
        folder.metrics["rejected"] = len(rejects)
    return folder.artifact


def judge_texts(texts: Sequence[Text], settings: Filters, tokenizer: str) -> list[Objection]:
    """Every text's first objection, in order; in several processes where there is enough to do."""
    workers = at_most(settings.workers)
    if workers == 1 or len(texts) < POOL_FROM:
        return judge_chunk(texts, settings=settings, tokenizer=tokenizer)
    chunks = [texts[i : i + CHUNK] for i in range(0, len(texts), CHUNK)]
    with pool(workers) as processes:
        return [
            found
            for part in processes.map(partial(judge_chunk, settings=settings, tokenizer=tokenizer), chunks)
            for found in part
        ]


def judge_chunk(texts: Sequence[Text], *, settings: Filters, tokenizer: str) -> list[Objection]:
    """Count tokens, then let the filters look."""
    counted = count_tokens(texts, tokenizer) if settings.token_length.enabled else texts
    return [objection(text, settings) for text in counted]


def count_tokens(texts: Sequence[Text], tokenizer: str) -> Iterator[Text]:
    """The texts with their token counts."""
    count = counter(tokenizer)
    counts = [count([getattr(text, part) for text in texts]) for part in ("prompt", "working", "response")]
    for text, prompt, working, response in zip(texts, *counts, strict=True):
        yield Text(text.prompt, text.response, text.working, (prompt, working, response))


def as_text(example: Example) -> Text:
    """What the filters see of an example."""
    return Text(example.prompt, example.response, "\n".join(part for part in (example.draft, example.thinking) if part))


def rates(objections: Sequence[Objection]) -> dict[str, float]:
    """Share of the records that each filter was the first to object to, in the table's order."""
    counts = Counter(found[0] for found in objections if found is not None)
    return {name: counts[name] / len(objections) if objections else 0.0 for name in TABLE}


def _shown(example: Example, reason: str) -> str:
    """The prompt for the list of rejects, unless it is personal data that must not be kept."""
    return "" if reason == "personal_data" else example.prompt

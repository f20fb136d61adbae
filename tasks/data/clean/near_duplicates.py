"""Removal of exact and near duplicates over prompt and response; the best-scored example of a cluster stays.

Where ``fold`` says so, what cannot be seen is no difference; what is kept stays as it was. ``cogumi data dedup`` does
the same with plain files (commands/dedup.py). Not here: how they are found (dedup/).
"""

from collections.abc import Sequence

from blocks import store
from blocks.cores import at_most
from blocks.records import Artifact
from configs.phases.data import NearDuplicates
from tasks.data import rows
from tasks.data.dedup.near import Dedup, deduplicate
from tasks.data.dedup.text import folded
from tasks.step import step


@step(version=1)
def remove_near_duplicates(examples: Artifact, settings: NearDuplicates, seed: int) -> Artifact:
    """Keep one example of each cluster; an artifact of kind "examples", each dropped one with its keeper and similarity
    in rejects.jsonl."""
    read = rows.examples(examples)
    texts = [compared(example.prompt, example.response) for example in read]
    found = find(texts, [example.metadata.quality_score for example in read], settings, seed)
    rejects = []
    for dropped, keeper, jaccard in found.duplicates:
        one, other = (folded(texts[row]) if settings.fold else texts[row] for row in (dropped, keeper))
        example, reason = read[dropped], "exact_duplicate" if one == other else "near_duplicate"
        detail = f"of {read[keeper].id}, Jaccard {jaccard:.3f}"
        rejects.append(
            rows.Reject(
                id=example.id,
                stage="near_duplicates",
                reason=reason,
                detail=detail,
                prompt=example.prompt,
                lineage=example.lineage,
            )
        )
    with store.create(
        "examples", parents=[examples], settings={"near_duplicates": settings.identity(), "seed": seed}
    ) as folder:
        rows.record(folder, rows.EXAMPLES, [read[index] for index in sorted(found.kept)], rejects)
        folder.metrics["clusters"] = found.clusters
    return folder.artifact


def compared(prompt: str, response: str) -> str:
    """What is compared: prompt and response, lower case, stripped."""
    return f"{prompt}\n{response}".lower().strip()


def find(texts: Sequence[str], qualities: Sequence[float] | None, settings: NearDuplicates, seed: int) -> Dedup:
    """Near-duplicates among texts; of a cluster the best by quality stays."""
    return deduplicate(
        texts,
        qualities,
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

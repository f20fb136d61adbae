"""Training and validation, disjoint by prompt, and the finished dataset with its card.

Every domain and difficulty gives the same share to validation. Not here: held-out questions for evaluation, which no
teacher of the dataset ever saw (tasks/evaluation).
"""

import json
import math
from collections import defaultdict

from blocks import store
from blocks.records import Artifact, Example
from configs.phases.data import Splitting
from tasks.data import rows
from tasks.data.finish.balance import shuffled
from tasks.data.finish.card import card, statistics
from tasks.data.plain.columnar.columns import write_parquet
from tasks.step import step

TRAIN, VALIDATION, CARD, STATS = "train.jsonl", "validation.jsonl", "README.md", "stats.json"


@step(version=1)
def split(examples: Artifact, stages: dict[str, Artifact], settings: Splitting, seed: int) -> Artifact:
    """Make the dataset: train.jsonl and validation.jsonl, both also below parquet/, README.md (the card) and
    stats.json; an artifact of kind "dataset".

    Args:
        examples: the balanced examples.
        stages: every artifact on the way, by the stage's name, for the card's rates and costs.
        settings: the validation share.
        seed: decides which prompts go to validation, and the order of the rows.
    """
    train, validation = divide(rows.examples(examples), settings.validation_share, seed)
    with store.create(
        "dataset", parents=[examples], settings={"splitting": settings.identity(), "seed": seed}
    ) as folder:
        for name, side in ((TRAIN, train), (VALIDATION, validation)):
            rows.write(folder.path / name, side)
            write_parquet((folder.path / "parquet" / name).with_suffix(".parquet"), side)
        stats = statistics(train, validation, stages)
        (folder.path / STATS).write_text(json.dumps(stats, indent=1, ensure_ascii=False) + "\n")
        (folder.path / CARD).write_text(card(stats))
        folder.metrics["train"] = len(train)
        folder.metrics["validation"] = len(validation)
        folder.metrics["mean_score"] = stats["quality"]["mean"]
    return folder.artifact


def divide(examples: list[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Two shuffled lists without a common prompt; at least one validation example per cell of two or more prompts."""
    by_prompt: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_prompt[rows.folded(example.prompt)].append(example)
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for prompt, group in by_prompt.items():
        cells[group[0].metadata.domain, group[0].metadata.difficulty].append(prompt)
    held_back: set[str] = set()
    for prompts in cells.values():
        count = min(math.ceil(len(prompts) * share), len(prompts) - 1)
        held_back.update(sorted(prompts, key=lambda prompt: shuffled(seed, prompt))[:count])
    ordered = sorted(examples, key=lambda example: (shuffled(seed, example.id), example.id))
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in ordered:
        sides[rows.folded(example.prompt) in held_back].append(example)
    return sides

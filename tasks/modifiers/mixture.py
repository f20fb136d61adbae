"""What a modifier is trained on: its mended failures, and against forgetting some of what the student already does
rightly.

Not here: mending (cascade.py), training (training's ``sft``, called by the flow).
"""

import json
from random import Random

from blocks import json_lines, store
from blocks.checkers.example import example_of
from blocks.examples import read_split
from blocks.models.sections import sections
from blocks.records import Artifact, Example
from configs.errors import BadInput
from configs.phases.modifiers import Mixture
from tasks.modifiers.cascade import SOLVED
from tasks.modifiers.failures import RIGHT, Tried, read_tried
from tasks.step import step


@step(version=3)
def mixture(
    mended: Artifact, failures: Artifact, dataset: Artifact, domains: list[str], settings: Mixture, seed: int
) -> Artifact:
    """Mended failures, own right answers and replayed examples of other domains, shuffled and split.

    Returns:
        Artifact of kind "dataset": train.jsonl, validation.jsonl, stats.json.

    Raises:
        BadInput: nothing was mended.
    """
    solved = json_lines.read(store.open(mended) / SOLVED, Example)
    if not solved:
        raise BadInput(
            f"{mended.short}: no failure was mended, so there is nothing to train a modifier on; pose more questions "
            "or leave the modifier out"
        )
    own = [example for example in map(own_answer, read_tried(failures, RIGHT)) if example is not None]
    elsewhere = [example for example in read_split(dataset, "train") if example.metadata.domain not in domains]
    rng = Random(seed)
    parts = {
        "mended": solved,
        "own_right": _some(own, settings.own_right * len(solved), rng),
        "replay": _some(elsewhere, settings.replay * len(solved), rng),
    }
    train, validation = [], []
    for rows in parts.values():
        shuffled = rng.sample(rows, len(rows))
        kept = round(len(rows) * settings.validation_share)
        validation += shuffled[:kept]
        train += shuffled[kept:]
    with store.create(
        "dataset",
        parents=[mended, failures, dataset],
        settings={"mixture": settings.identity(), "domains": domains, "seed": seed},
    ) as folder:
        for name, rows in (("train", rng.sample(train, len(train))), ("validation", validation)):
            json_lines.write(folder.path / f"{name}.jsonl", rows)
        counts = {name: len(rows) for name, rows in parts.items()} | {
            "train": len(train),
            "validation": len(validation),
        }
        (folder.path / "stats.json").write_text(json.dumps(counts, indent=1) + "\n")
        folder.metrics |= counts
    return folder.artifact


def own_answer(tried: Tried) -> Example | None:
    """The student's right answer as an example; None where a hard one does not show its work."""
    question, parts = tried.question, sections(tried.answer)
    if question.difficulty == "hard" and (parts.draft is None or parts.thinking is None):
        return None
    return example_of(
        question, parts, teacher="student", source=question.source, license="as the student's", lineage=question.lineage
    )


def _some(rows: list[Example], wanted: float, rng: Random) -> list[Example]:
    return rng.sample(rows, min(len(rows), round(wanted)))

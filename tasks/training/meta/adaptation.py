"""Did ANIL help? Few-shot adaptation of the fine-tuned, the ANIL and the control adapter to task types meta-training
never saw.

Every adapter is adapted to the same episodes by the same inner loop; what is compared is the loss on the same query
examples, which are from the validation split. Not here: answering questions without adaptation (tasks/evaluation).
"""

import json

import numpy as np

from blocks import store
from blocks.models.seeding import reproducible
from blocks.progress import progress
from blocks.records import Artifact, Interval, Record
from configs.phases.training import Anil, Lora
from tasks.evaluation.statistics import paired_difference
from tasks.step import step
from tasks.training.meta.anil import COMPARISON_STREAM, load, measure
from tasks.training.meta.episodes import measuring_episodes


class Adaptation(Record):
    """adaptation.json. Losses are nats per answer token on query examples of held-out tasks, one value per episode;
    ``gain`` is the loss of ``tuned`` or ``control`` minus that of ``anil``, after adaptation: above 0, ANIL is
    better."""

    tasks: tuple[str, ...]
    episodes: tuple[str, ...]
    before: dict[str, tuple[float, ...]]
    after: dict[str, tuple[float, ...]]
    gain: dict[str, Interval]


@step(version=2)
def compare_adaptation(
    model: Artifact,
    tuned: Artifact,
    anil: Artifact,
    control: Artifact,
    dataset: Artifact,
    lora: Lora,
    settings: Anil,
    seed: int,
    resamples: int,
) -> Artifact:
    """Adapt all three adapters to the same held-out episodes.

    Returns:
        Artifact of kind "adaptation" with adaptation.json. Metrics: mean loss after adaptation of each, and the
        interval of ANIL's gain over the control (paired over episodes).

    Raises:
        BadInput: too few task types have enough examples.
    """
    adapters = {"tuned": tuned, "control": control, "anil": anil}
    described = {"lora": lora.identity(), "meta": settings.identity(), "seed": seed, "resamples": resamples}
    with (
        store.create("adaptation", parents=[model, *adapters.values(), dataset], settings=described) as folder,
        reproducible(seed),
    ):
        before, after = {}, {}
        with progress("few-shot adaptation", len(adapters)) as advance:
            for name, adapter in adapters.items():
                learner = load(model=model, adapter=adapter, dataset=dataset, lora=lora, settings=settings, seed=seed)
                random = np.random.default_rng([seed, COMPARISON_STREAM])
                episodes = measuring_episodes(
                    tasks=learner.tasks,
                    names=learner.tasks.held_out,
                    count=settings.episodes,
                    support=settings.support,
                    query=settings.query,
                    random=random,
                )
                before[name], after[name] = zip(*measure(learner, episodes, settings), strict=True)
                advance(1, name)
        gain = {
            name: paired_difference(after["anil"], after[name], seed=seed, resamples=resamples)
            for name in ("tuned", "control")
        }
        found = Adaptation(
            tasks=learner.tasks.held_out,
            episodes=tuple(episode.task for episode in episodes),
            before=before,
            after=after,
            gain=gain,
        )
        (folder.path / "adaptation.json").write_text(json.dumps(found.model_dump(mode="json"), indent=1) + "\n")
        folder.metrics |= {f"{name}_after": float(np.mean(values)) for name, values in after.items()}
        folder.metrics |= {
            "gain_over_control": gain["control"].mean,
            "gain_low": gain["control"].low,
            "gain_high": gain["control"].high,
        }
    return folder.artifact


def read_adaptation(artifact: Artifact) -> Adaptation:
    """The comparison in an artifact of kind "adaptation"."""
    return Adaptation.model_validate_json((store.open(artifact) / "adaptation.json").read_text())

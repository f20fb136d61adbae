"""Meta-training and its control on a tiny student; episodes; the comparison."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from blocks import store
from blocks.examples import read_split
from blocks.models.encoding import Encoder
from blocks.models.template import LLAMA
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.training.meta.adaptation import compare_adaptation, read_adaptation
from tasks.training.meta.anil import anil, control
from tasks.training.meta.episodes import measuring_episodes, read_tasks, training_episodes
from tests.tasks.training.conftest import ANIL, LORA, changed, make_dataset


@pytest.fixture(scope="module")
def learned(model: Artifact, adapter: Artifact, dataset: Artifact) -> Artifact:
    return anil(model=model, adapter=adapter, dataset=dataset, lora=LORA, settings=ANIL, seed=0)


@pytest.fixture(scope="module")
def plain(model: Artifact, adapter: Artifact, dataset: Artifact, learned: Artifact) -> Artifact:
    return control(
        model=model,
        adapter=adapter,
        dataset=dataset,
        lora=LORA,
        settings=ANIL,
        rounds=int(learned.metrics["rounds"]),
        seed=0,
    )


def weights(adapter: Artifact) -> Any:
    return load_file(Path(adapter.uri) / "adapter_model.safetensors")


def sha(adapter: Artifact) -> str:
    return store.manifest(adapter).files["adapter_model.safetensors"][0]


def test_meta_training_lowers_the_loss_after_adaptation_and_moves_body_and_head(
    adapter: Artifact, learned: Artifact
) -> None:
    curve = json.loads((Path(learned.uri) / "curve.json").read_text())
    assert curve[-1]["validation_loss"] < curve[0]["validation_loss"]
    assert learned.metrics["validation_loss"] == min(point["validation_loss"] for point in curve)
    before, after = weights(adapter), weights(learned)
    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before), (
        "layers 0 and 1 learn in the outer loop, layer 2 in both"
    )


def test_the_control_sees_the_same_examples_and_learns_something_else(learned: Artifact, plain: Artifact) -> None:
    assert plain.metrics["rounds"] == learned.metrics["rounds"]
    assert plain.metrics["tokens"] == learned.metrics["tokens"]
    assert sha(plain) != sha(learned)


def test_the_same_inputs_give_the_same_adapter(
    model: Artifact, adapter: Artifact, dataset: Artifact, learned: Artifact
) -> None:
    assert (
        anil(model=model, adapter=adapter, dataset=dataset, lora=LORA, settings=ANIL, seed=0).digest == learned.digest
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"support": 4}, {"query": 2}, {"inner_steps": 1}, {"inner_rate": 0.01}, {"outer_rate": 1e-4}, {"tasks": 2},
        {"rounds": 4}, {"head_layers": 2},
        {"second_order": True}, {"clip": 0.01}, {"held_out": 0.6},
    ],
)  # fmt: skip
def test_every_setting_changes_the_weights(
    model: Artifact, adapter: Artifact, dataset: Artifact, learned: Artifact, fields: dict[str, Any]
) -> None:
    assert sha(
        anil(model=model, adapter=adapter, dataset=dataset, lora=LORA, settings=changed(ANIL, **fields), seed=0)
    ) != sha(learned)


def test_meta_training_that_no_longer_gains_stops_and_keeps_its_best(
    model: Artifact, adapter: Artifact, dataset: Artifact
) -> None:
    wild = changed(ANIL, outer_rate=1.0, evaluate_every=1, rounds=8)
    found = {
        patience: anil(
            model=model, adapter=adapter, dataset=dataset, lora=LORA, settings=changed(wild, patience=patience), seed=0
        )
        for patience in (1, 2)
    }
    assert [made.metrics["rounds"] for made in found.values()] == [1, 2]
    assert sha(found[2]) == sha(adapter), "the start was the best"


def test_the_comparison_is_paired_and_on_tasks_never_trained_on(
    model: Artifact, adapter: Artifact, dataset: Artifact, learned: Artifact, plain: Artifact, tokenizer: Any
) -> None:
    made = compare_adaptation(
        model=model,
        tuned=adapter,
        anil=learned,
        control=plain,
        dataset=dataset,
        lora=LORA,
        settings=ANIL,
        seed=0,
        resamples=1000,
    )
    found = read_adaptation(made)
    tasks = read_tasks(
        dataset,
        Encoder(tokenizer, LLAMA),
        support=3,
        query=3,
        held_out=ANIL.held_out,
        max_length=LORA.max_length,
        closing=False,
        seed=0,
    )
    assert set(found.episodes) <= set(found.tasks) == set(tasks.held_out)
    assert not set(tasks.held_out) & set(tasks.seen)
    assert {len(values) for values in (*found.before.values(), *found.after.values())} == {ANIL.episodes}
    differences = np.subtract(found.after["control"], found.after["anil"])
    assert found.gain["control"].mean == pytest.approx(differences.mean()) == made.metrics["gain_over_control"]
    assert found.gain["control"].low <= found.gain["control"].mean <= found.gain["control"].high
    fewer = compare_adaptation(
        model=model,
        tuned=adapter,
        anil=learned,
        control=plain,
        dataset=dataset,
        lora=LORA,
        settings=changed(ANIL, episodes=5),
        seed=0,
        resamples=1000,
    )
    assert len(read_adaptation(fewer).episodes) == 5


def test_an_adapter_compared_with_itself_gains_nothing(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    found = read_adaptation(
        compare_adaptation(
            model=model,
            tuned=adapter,
            anil=adapter,
            control=adapter,
            dataset=dataset,
            lora=LORA,
            settings=ANIL,
            seed=0,
            resamples=1000,
        )
    )
    assert found.after["anil"] == found.after["tuned"] == found.after["control"]
    assert (found.gain["tuned"].low, found.gain["tuned"].high) == (0, 0)
    assert found.before["tuned"] != found.after["tuned"]


def test_episodes_do_not_repeat_an_example_and_measure_on_validation_examples(
    dataset: Artifact, tokenizer: Any
) -> None:
    tasks = read_tasks(
        dataset, Encoder(tokenizer, LLAMA), support=3, query=3, held_out=0.25, max_length=128, closing=False, seed=0
    )
    unseen = {tuple(one.ids) for members in tasks.validation.values() for one in members}
    for episode in training_episodes(
        tasks=tasks, names=tasks.seen, count=40, support=3, query=3, random=np.random.default_rng(0)
    ):
        together = [tuple(one.ids) for one in episode.support + episode.query]
        assert len(set(together)) == 6
        assert not unseen & set(together)
    assert len(
        {
            episode.task
            for episode in training_episodes(
                tasks=tasks,
                names=tasks.seen,
                count=len(tasks.seen),
                support=3,
                query=3,
                random=np.random.default_rng(0),
            )
        }
    ) == len(tasks.seen)
    for episode in measuring_episodes(
        tasks=tasks, names=tasks.held_out, count=10, support=3, query=3, random=np.random.default_rng(0)
    ):
        assert {tuple(one.ids) for one in episode.query} <= unseen
        assert 1 <= len(episode.query) <= 3


def test_a_dataset_with_too_few_tasks_is_one_clear_line(model: Artifact, adapter: Artifact, dataset: Artifact) -> None:
    one_type = [one for one in read_split(dataset, "train") if one.metadata.task_type == "arithmetic"]
    with pytest.raises(BadInput, match="ANIL needs two"):
        anil(
            model=model,
            adapter=adapter,
            dataset=make_dataset(one_type, one_type),
            lora=LORA,
            settings=changed(ANIL, support=1, query=1),
            seed=0,
        )

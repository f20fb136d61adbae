"""ANIL-MAML on the LoRA of the fine-tuning, and beside it a control: plain LoRA training on the same examples.

Meta-training: every round draws a few tasks; the head is adapted to each on its support examples, and all adapters move
so that the adapted head answers the query examples better. The control draws the same examples in the same order and
takes the same number of optimiser steps at the same rate, without the inner loop. Whether ANIL helped is for
adaptation.py to say.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from blocks import store
from blocks.models.encoding import Encoder
from blocks.models.load import load_adapter, load_model
from blocks.models.seeding import reproducible
from blocks.progress import progress
from blocks.records import Artifact
from configs.phases.training import Anil, Lora
from tasks.step import step
from tasks.training.adapter import read_base, write_adapter
from tasks.training.meta.episodes import Episode, Tasks, batch, measuring_episodes, read_tasks, training_episodes

VALIDATION_STREAM, COMPARISON_STREAM = 1, 2  # random streams beside training's


class Learner(NamedTuple):
    """A LoRA model cut in two, with the tasks it learns and what batches need."""

    model: Any
    parts: Any
    tasks: Tasks
    pad: int
    device: str


class Result(NamedTuple):
    """Outer steps taken, the loss of the best validation, and the curve."""

    rounds: int
    validation_loss: float
    curve: list[dict[str, float]]


@step(version=2)
def anil(model: Artifact, adapter: Artifact, dataset: Artifact, lora: Lora, settings: Anil, seed: int) -> Artifact:
    """Meta-train ``adapter`` (of ``model``, fine-tuned under ``lora``) and keep the best by validation loss after
    adaptation.

    Returns:
        Artifact of kind "adapter" as sft makes it. Metrics: rounds, tokens, validation_loss.

    Raises:
        BadInput: too few task types have enough examples.
    """
    from tasks.training.meta.inner_loop import meta_gradient

    with (
        store.create(
            "adapter", parents=[model, adapter, dataset], settings=_described(lora, settings, seed, "anil")
        ) as folder,
        reproducible(seed),
    ):
        learner = load(model=model, adapter=adapter, dataset=dataset, lora=lora, settings=settings, seed=seed)

        def gradient(episode: Episode) -> tuple[float, list[Any]]:
            support, query = (batch(part, learner.pad, learner.device) for part in (episode.support, episode.query))
            return meta_gradient(
                parts=learner.parts,
                support=support,
                query=query,
                rate=settings.inner_rate,
                steps=settings.inner_steps,
                second_order=settings.second_order,
            )

        result = train(
            learner=learner,
            gradient=gradient,
            settings=settings,
            rounds=settings.rounds,
            patience=settings.patience,
            seed=seed,
            title="ANIL",
        )
        _write(folder, learner, result, model, adapter)
    return folder.artifact


@step(version=2)
def control(
    model: Artifact, adapter: Artifact, dataset: Artifact, lora: Lora, settings: Anil, rounds: int, seed: int
) -> Artifact:
    """Train ``adapter`` on, for ``rounds`` steps, on the examples that ``anil`` drew, without an inner loop; the best
    is kept by the same validation. Returns and raises as :func:`anil`."""
    from tasks.training.meta.inner_loop import plain_gradient

    described = _described(lora, settings, seed, "control") | {"rounds": rounds}
    with store.create("adapter", parents=[model, adapter, dataset], settings=described) as folder, reproducible(seed):
        learner = load(model=model, adapter=adapter, dataset=dataset, lora=lora, settings=settings, seed=seed)

        def gradient(episode: Episode) -> tuple[float, list[Any]]:
            return plain_gradient(learner.parts, batch(episode.support + episode.query, learner.pad, learner.device))

        _write(
            folder,
            learner,
            train(
                learner=learner,
                gradient=gradient,
                settings=settings,
                rounds=rounds,
                patience=rounds,
                seed=seed,
                title="control",
            ),
            model,
            adapter,
        )
    return folder.artifact


def load(model: Artifact, adapter: Artifact, dataset: Artifact, lora: Lora, settings: Anil, seed: int) -> Learner:
    """The fine-tuned model as it was trained, ready to learn on."""
    from tasks.training.meta.inner_loop import cut

    encoder = Encoder.of(store.open(model))
    tasks = read_tasks(
        dataset,
        encoder,
        support=settings.support,
        query=settings.query,
        held_out=settings.held_out,
        max_length=lora.max_length,
        closing=lora.closing,
        seed=seed,
    )
    base = load_model(store.open(model), device=lora.device, dtype=lora.dtype, quantise=lora.quantise)
    peft = load_adapter(base, store.open(adapter), trainable=True).eval()  # no dropout: features are computed once
    return Learner(
        peft, cut(peft, settings.head_layers, lora.checkpointing), tasks, encoder.tokenizer.pad_token_id, lora.device
    )


def train(
    learner: Learner,
    gradient: Callable[[Episode], tuple[float, list[Any]]],
    settings: Anil,
    rounds: int,
    patience: int,
    seed: int,
    title: str,
) -> Result:
    """The outer loop, with the gradient of one episode given; leaves the best adapters by validation in the model."""
    import torch

    parameters = learner.parts.outer
    optimizer = torch.optim.AdamW(parameters, lr=settings.outer_rate, weight_decay=0.0)
    random = np.random.default_rng(seed)
    measured = measuring_episodes(
        tasks=learner.tasks,
        names=learner.tasks.seen,
        count=len(learner.tasks.seen),
        support=settings.support,
        query=settings.query,
        random=np.random.default_rng([seed, VALIDATION_STREAM]),
    )
    best, best_round, best_weights = validate(learner, measured, settings), 0, [p.detach().clone() for p in parameters]
    curve: list[dict[str, float]] = []
    losses, tokens, done = [], 0, 0
    with progress(title, rounds) as advance:
        for done in range(1, rounds + 1):
            episodes = training_episodes(
                tasks=learner.tasks,
                names=learner.tasks.seen,
                count=settings.tasks,
                support=settings.support,
                query=settings.query,
                random=random,
            )
            results = [gradient(episode) for episode in episodes]
            for parameter, slopes in zip(parameters, zip(*(slopes for _, slopes in results), strict=True), strict=True):
                parameter.grad = torch.stack(slopes).mean(0)
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimizer.step()
            losses.append(sum(loss for loss, _ in results) / len(results))
            tokens += sum(len(one.ids) for episode in episodes for one in episode.support + episode.query)
            advance(1, f"loss {losses[-1]:.3f}")
            if done % settings.evaluate_every and done < rounds:
                continue
            loss = validate(learner, measured, settings)
            curve.append({"step": done, "tokens": tokens, "loss": sum(losses) / len(losses), "validation_loss": loss})
            losses = []
            if loss < best:
                best, best_round, best_weights = loss, len(curve), [p.detach().clone() for p in parameters]
            elif len(curve) - best_round >= patience:
                break
    with torch.no_grad():
        for parameter, weight in zip(parameters, best_weights, strict=True):
            parameter.copy_(weight)
    return Result(done, best, curve)


def validate(learner: Learner, episodes: list[Episode], settings: Anil) -> float:
    """Mean loss on the query examples after adaptation, over ``episodes``."""
    return float(np.mean([after for _, after in measure(learner, episodes, settings)]))


def measure(learner: Learner, episodes: list[Episode], settings: Anil) -> list[tuple[float, float]]:
    """Loss on the query examples before and after adaptation, for each episode."""
    from tasks.training.meta.inner_loop import query_losses

    found = []
    for episode in episodes:
        support, query = (batch(part, learner.pad, learner.device) for part in (episode.support, episode.query))
        found.append(query_losses(learner.parts, support, query, settings.inner_rate, settings.inner_steps))
    return found


def _write(folder: store.Folder, learner: Learner, result: Result, model: Artifact, adapter: Artifact) -> None:
    write_adapter(learner.model, folder.path, base=model, quantise=read_base(store.open(adapter)).quantise)
    (folder.path / "curve.json").write_text(json.dumps(result.curve))
    folder.metrics.update(
        rounds=result.rounds, tokens=result.curve[-1]["tokens"], validation_loss=result.validation_loss
    )


def _described(lora: Lora, settings: Anil, seed: int, method: str) -> dict[str, Any]:
    return {"method": method, "lora": lora.identity(), "meta": settings.identity(), "seed": seed}

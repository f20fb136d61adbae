"""Training after pruning that keeps every zero: towards the whole student's predictions, on the dataset's training
examples.

Either every weight that is left is trained and the mask applied after each step, or a low-rank update is trained under
the mask (PERP, Zimmer et al. 2023, arXiv 2312.15230), which merges without filling a zero. Not here: the mask
(prune.py).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.models.checkpoint import Checkpoint, model_folder, prunable, write_changed
from blocks.models.encoding import Conversation
from blocks.models.load import load_model
from blocks.progress import progress
from blocks.records import Artifact
from configs.errors import BadInput, CogumiError
from configs.phases.compression import MaskedLora, Recovery
from tasks.compression.calibration import IGNORE, conversations, padded
from tasks.compression.pruning.prune import zero_share
from tasks.step import step

if TYPE_CHECKING:
    import torch

JUDGED = 64  # validation examples on which the metrics are taken
MEGABATCH = 20  # batches that are sorted by length together


@step(version=2)
def recover(pruned: Artifact, student: Artifact, dataset: Artifact, settings: Recovery, seed: int) -> Artifact:
    """``pruned`` trained towards ``student``, the model it was pruned from; kind "model". Zeros of ``pruned`` stay
    zero.

    Metrics: divergence from the student in nats per token on validation examples, before and after; sparsity.

    Raises:
        BadInput: the two do not have the same shapes, or no example is short enough.
    """
    import torch

    folder, whole = model_folder(pruned), model_folder(student)
    with (
        store.create(
            "model", parents=[pruned, student, dataset], settings={**settings.identity(), "seed": seed}
        ) as made,
        _seeded(seed),
    ):
        model = load_model(folder, device=settings.device, frozen=False)
        teacher = load_model(whole, device=settings.device)
        if {name: weight.shape for name, weight in model.named_parameters()} != {
            name: weight.shape for name, weight in teacher.named_parameters()
        }:
            raise BadInput(
                f"{pruned.short} and {student.short} do not have the same shapes; give the model that was pruned"
            )
        judged = conversations(dataset, "validation", folder, limit=JUDGED, tokens=settings.tokens, seed=seed)
        made.metrics["divergence_before"] = divergence(model, teacher, judged, settings.batch)
        if settings.lora is not None:
            changed = _train_lora(model, teacher, _batches(folder, dataset, settings, seed), settings, settings.lora)
        else:
            changed = _train_all(model, teacher, _batches(folder, dataset, settings, seed), settings)
        if any(not torch.isfinite(weight).all() for weight in changed.values()):
            raise CogumiError("recovery diverged: weights are no longer finite; lower recovery.learning_rate")
        made.metrics["divergence_after"] = divergence(model, teacher, judged, settings.batch)
        with Checkpoint(folder) as checkpoint:
            stored = set(checkpoint.names())
        write_changed(folder, made.path, {name: weight for name, weight in changed.items() if name in stored})
        made.metrics["sparsity"] = zero_share(made.path)
    return made.artifact


def divergence(model: Any, teacher: Any, judged: list[Conversation], batch: int) -> float:
    """Mean KL divergence of ``model`` from ``teacher``, nats per token, over every token of ``judged``."""
    import torch

    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(judged), batch):
            ids, _, real = padded(judged[start : start + batch])
            ids, real = ids.to(model.device), real.to(model.device)
            one = _divergences(model(input_ids=ids).logits, teacher(input_ids=ids).logits, real)
            total, count = total + float(one.sum()), count + one.numel()
    return total / count


def _divergences(logits: "torch.Tensor", aim: "torch.Tensor", real: "torch.Tensor") -> "torch.Tensor":
    """KL(aim ‖ logits) at every real position (positions,)."""
    from torch.nn.functional import kl_div

    return kl_div(
        logits[real].float().log_softmax(-1), aim[real].float().log_softmax(-1), reduction="none", log_target=True
    ).sum(-1)


def _loss(
    model: Any, teacher: Any, batch: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]", weight: float
) -> "torch.Tensor":
    import torch
    from torch.nn.functional import cross_entropy

    ids, labels, real = (one.to(model.device) for one in batch)
    logits = model(input_ids=ids, use_cache=False).logits
    loss = torch.zeros((), device=logits.device)
    if weight < 1:
        with torch.no_grad():
            aim = teacher(input_ids=ids, use_cache=False).logits
        loss = loss + (1 - weight) * _divergences(logits, aim, real).mean()
    if weight > 0:
        loss = loss + weight * cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORE
        )
    return loss


def _train_all(
    model: Any, teacher: Any, batches: "list[list[Conversation]]", settings: Recovery
) -> "dict[str, torch.Tensor]":
    """Train every weight; after each step, what was zero is zero again."""
    import torch

    weights = dict(model.named_parameters())
    masks = {name: weights[name] != 0 for name in prunable(list(weights))}

    def hold() -> None:
        with torch.no_grad():
            for name, mask in masks.items():
                weights[name].mul_(mask)

    _optimise(
        model=model, teacher=teacher, batches=batches, settings=settings, weights=list(weights.values()), after=hold
    )
    return {name: weight.detach() for name, weight in weights.items()}


def _train_lora(
    model: Any, teacher: Any, batches: "list[list[Conversation]]", settings: Recovery, lora: MaskedLora
) -> "dict[str, torch.Tensor]":
    """Train a low-rank update of every decoder matrix, seen through its mask, and merge it."""
    import torch
    from torch.nn.utils import parametrize

    model.requires_grad_(False)
    modules = {
        name: model.get_submodule(name.removesuffix(".weight"))
        for name in prunable([name for name, _ in model.named_parameters()])
    }
    update = _masked_update()
    trained: list[torch.Tensor] = []
    for module in modules.values():
        parametrize.register_parametrization(module, "weight", update(module.weight, lora), unsafe=True)
        trained.extend(one for one in module.parametrizations.weight[0].parameters())
    _optimise(model=model, teacher=teacher, batches=batches, settings=settings, weights=trained, after=lambda: None)
    changed = {}
    for name, module in modules.items():
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        changed[name] = module.weight.detach()
    return changed


def _masked_update() -> Any:
    """The module class; made here because torch is imported late."""
    import torch

    class MaskedUpdate(torch.nn.Module):
        """W → W + [W ≠ 0] ∘ (alpha / rank) B A, with B = 0 at the start."""

        def __init__(self, weight: "torch.Tensor", lora: MaskedLora) -> None:
            super().__init__()
            outputs, inputs = weight.shape
            self.scale = lora.alpha / lora.rank
            self.a = torch.nn.Parameter(torch.randn(lora.rank, inputs, device=weight.device) / math.sqrt(inputs))
            self.b = torch.nn.Parameter(torch.zeros(outputs, lora.rank, device=weight.device))

        def forward(self, weight: "torch.Tensor") -> "torch.Tensor":
            return weight + (weight != 0) * (self.scale * self.b @ self.a).to(weight.dtype)

    return MaskedUpdate


def _optimise(
    model: Any,
    teacher: Any,
    batches: "list[list[Conversation]]",
    settings: Recovery,
    weights: "list[torch.Tensor]",
    after: Any,
) -> None:
    """AdamW without decay over ``batches``; ``after`` runs after every step."""
    import torch

    if settings.checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    optimiser = torch.optim.AdamW(weights, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    steps = -(-len(batches) // settings.accumulation)
    warm = max(1, round(settings.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min((i + 1) / warm, (steps - i) / max(1, steps - warm + 1))
    )
    model.train()
    with progress("recovery", len(batches)) as advance:
        for start in range(0, len(batches), settings.accumulation):
            several = batches[start : start + settings.accumulation]
            total = 0.0
            for batch in several:
                loss = _loss(model, teacher, padded(batch), settings.label_weight) / len(several)
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(weights, settings.clip)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            after()
            advance(len(several), note=f"loss {total:.3f}")
    model.eval()


def _batches(folder: Any, dataset: Artifact, settings: Recovery, seed: int) -> "list[list[Conversation]]":
    """Seeded batches whose conversations are of similar length."""
    import random

    drawn = conversations(dataset, "train", folder, limit=settings.examples, tokens=settings.tokens, seed=seed)
    found = []
    for start in range(0, len(drawn), MEGABATCH * settings.batch):
        piece = sorted(drawn[start : start + MEGABATCH * settings.batch], key=lambda one: len(one.ids))
        batches = [piece[i : i + settings.batch] for i in range(0, len(piece), settings.batch)]
        random.Random(seed + start).shuffle(batches)
        found.extend(batches)
    return found


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's random stream seeded and its kernels deterministic while the block lasts, where such kernels exist."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)

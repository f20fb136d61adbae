"""Setting weights of the decoder layers to zero, one shot, on calibration text.

SparseGPT and Wanda are llm-compressor's; magnitude is the control. Zeros of an earlier stage stay. Not here: the
training that recovers from it (recover.py), ratios per layer (layer_ratios.py), and any gain in speed: no engine here
runs unstructured zeros faster.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.estimates.hardware import refuse_missing
from blocks.models import model_config
from blocks.models.checkpoint import Checkpoint, layers, model_folder, prunable, write_changed
from blocks.models.load import load_model
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Calibration, Pruning
from tasks.compression.calibration import packed
from tasks.compression.pruning.activations import input_squares
from tasks.compression.pruning.layer_ratios import outlier_share, ratios
from tasks.compression.weights.oneshot import oneshot, quiet
from tasks.step import step

if TYPE_CHECKING:
    import torch


@step(version=2)
def prune(
    model: Artifact, dataset: Artifact, sparsity: float, settings: Pruning, calibration: Calibration, seed: int
) -> Artifact:
    """``model`` with a share ``sparsity`` of the decoder layers' matrices set to zero; kind "model".

    Raises:
        BadInput: not such a model, too little calibration text, or the model is already sparser.
    """
    refuse_missing(calibration.device)
    folder = model_folder(model)
    config = model_config.read(folder / "config.json")
    already = zero_share(folder)
    if already > sparsity:
        raise BadInput(
            f"{model.short} has {already:.1%} zeros already, more than the {sparsity:.1%} asked for; raise the stage"
        )
    described = {
        "sparsity": sparsity,
        "pruning": settings.identity(),
        "calibration": calibration.identity(),
        "seed": seed,
    }
    with store.create("model", parents=[model, dataset], settings=described) as made:
        if settings.method == "magnitude":
            changed = _smallest(
                folder,
                _shares(
                    folder=folder,
                    dataset=dataset,
                    sparsity=sparsity,
                    settings=settings,
                    calibration=calibration,
                    seed=seed,
                ),
            )
        else:
            rows = packed(dataset, folder, calibration, seed)
            shares = _shares(
                folder=folder, dataset=dataset, sparsity=sparsity, settings=settings, calibration=calibration, seed=seed
            )
            decoder = config["architectures"][0].replace("ForCausalLM", "DecoderLayer")
            pruned = oneshot(folder, [_modifier(settings, shares, decoder)], rows, calibration.batch)
            state = pruned.state_dict()
            changed = {name: state[name] for name in prunable(list(state))}
        write_changed(folder, made.path, changed)
        reached = zero_share(made.path)
        if reached < sparsity - 0.01:
            raise BadInput(
                f"{settings.method} left {reached:.1%} zeros of {sparsity:.1%}; raise dampening or give more "
                "calibration text"
            )
        made.metrics["sparsity"] = reached
    return made.artifact


def zero_share(folder: Path) -> float:
    """Share of exact zeros in the decoder layers' matrices of a model folder."""
    zeros = total = 0
    with Checkpoint(folder) as checkpoint:
        for name in prunable(checkpoint.names()):
            weight = checkpoint.read(name)
            zeros += int((weight == 0).sum())
            total += weight.numel()
    return zeros / total


def _modifier(settings: Pruning, shares: list[float], decoder: str) -> Any:
    """``decoder``: the class of a decoder layer, as transformers names it."""
    with quiet():
        from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier

    common: dict[str, Any] = {
        "sparsity": shares,
        "mask_structure": settings.structure,
        "targets": [decoder],
        "ignore": ["re:.*lm_head"],
    }
    if settings.method == "wanda":
        return WandaPruningModifier(**common)
    # Earlier zeros are kept stage by stage. 2:4 has one stage, and llm-compressor 0.14 picks wrong columns where both
    # are asked for.
    return SparseGPTModifier(
        **common,
        block_size=settings.block,
        dampening_frac=settings.dampening,
        preserve_sparsity_mask=settings.structure == "0:0",
    )


def _shares(
    folder: Path, dataset: Artifact, sparsity: float, settings: Pruning, calibration: Calibration, seed: int
) -> list[float]:
    """The sparsity of every decoder layer, in order."""
    with Checkpoint(folder) as checkpoint:
        count = int(checkpoint.config["num_hidden_layers"])
        if settings.layer_ratios is None:
            return [sparsity] * count
        model = load_model(folder, device=calibration.device)
        squares = input_squares(model, packed(dataset, folder, calibration, seed), calibration.batch)
        names = set(prunable(checkpoint.names()))
        shares = []
        for layer in range(count):
            inside = [name for index, name in layers(checkpoint.names()) if index == layer and name in names]
            shares.append(
                outlier_share(
                    [checkpoint.read(name).float().abs() * squares[name].sqrt() for name in inside],
                    settings.layer_ratios.threshold,
                )
            )
    return ratios(shares, sparsity, settings.layer_ratios)


def _smallest(folder: Path, shares: list[float]) -> "dict[str, torch.Tensor]":
    """Each matrix without its smallest weights; ``shares`` has one sparsity per layer."""
    changed = {}
    with Checkpoint(folder) as checkpoint:
        names = set(prunable(checkpoint.names()))
        for layer, name in layers(checkpoint.names()):
            if name in names:
                weight = checkpoint.read(name).clone()
                count = round(weight.numel() * shares[layer])
                weight.view(-1)[weight.view(-1).float().abs().argsort(stable=True)[:count]] = 0
                changed[name] = weight
    return changed

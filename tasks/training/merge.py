"""Fold an adapter into its model's weights: float32 ``W + scale * up @ down``, rounded once to the type that is stored.

An adapter trained on an NF4 base learned to mend that base's rounding: then both ``dequantised + update`` and ``stored
+ update`` are made, and the one with the lower held-out loss is kept. Never ``merge_and_unload`` on 4-bit layers, which
rounds the sum to 4 bits again and loses most of the update (peft #2321). The result is checked against base + adapter
by its logits.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks import store
from blocks.examples import read_split
from blocks.models.checkpoint import rewrite
from blocks.models.encoding import Encoder
from blocks.models.load import load_adapter, load_model, require
from blocks.models.seeding import reproducible
from blocks.records import Artifact
from configs.errors import BadInput, GateFailed
from configs.phases.training import Merging
from tasks.step import step
from tasks.training.adapter import Update, read_base, read_updates
from tasks.training.encoding import IGNORE, Encoded, encode

if TYPE_CHECKING:
    import torch

log = logging.getLogger("cogumi.training")
INDEX = "model.safetensors.index.json"
NOT_COPIED = ("curve.json", "manifest.json")


class Agreement(NamedTuple):
    """Merged against base + adapter over answer tokens: largest logit difference, mean KL divergence and both losses,
    in nats."""

    difference: float
    divergence: float
    reference_loss: float
    merged_loss: float


@step(version=2)
def merge(model: Artifact, adapter: Artifact, dataset: Artifact, settings: Merging) -> Artifact:
    """The student: ``model`` with ``adapter`` folded in, checked on the dataset's validation split.

    Returns:
        Artifact of kind "model". Metrics: the agreement with base + adapter, and from_nf4 (1 where the dequantised base
        was kept).

    Raises:
        BadInput: the adapter belongs to another model, or is not plain LoRA.
        GateFailed: the merged model's logits are not those of base + adapter.
    """
    base, updates, folder_in = read_base(store.open(adapter)), read_updates(store.open(adapter)), store.open(model)
    if base.model != model.digest:
        raise BadInput(
            f"{adapter.short} was trained on model-{base.model[:12]}, not on {model.short}; merge it into that one"
        )
    require(settings.device, base.quantise)
    with store.create("model", parents=[model, adapter, dataset], settings=settings) as folder, reproducible(0):
        texts = encode(
            read_split(dataset, "validation")[: settings.examples],
            Encoder.of(folder_in),
            max_length=settings.max_length,
            close=False,
        )
        if not texts:
            raise BadInput(
                f"{dataset.short}: no validation example has at most {settings.max_length} tokens; raise max_length"
            )
        reference = answer_logits(folder_in, texts, settings, quantise=base.quantise, adapter=store.open(adapter))
        found = {}
        for source in ["none", *(["nf4"] if base.quantise == "nf4" else [])]:
            candidate = folder.path.parent / source  # beside the artifact's content: swept with it if this process dies
            write_merged(folder_in, updates, candidate, settings, through_nf4=source == "nf4")
            found[source] = agreement(reference, answer_logits(candidate, texts, settings), texts)
            log.info(
                "merged onto %s weights: held-out loss %.4f, base + adapter %.4f",
                "stored" if source == "none" else "dequantised",
                *found[source][:1:-1],
            )
        kept = min(found, key=lambda source: found[source].merged_loss)
        check(found[kept], settings, model, adapter)
        for path in sorted((folder.path.parent / kept).iterdir()):
            path.rename(folder.path / path.name)
        for source in found:
            shutil.rmtree(folder.path.parent / source)
        folder.metrics |= {**found[kept]._asdict(), "from_nf4": float(kept == "nf4")}
    return folder.artifact


def write_merged(
    model: Path, updates: dict[str, Update], target: Path, settings: Merging, *, through_nf4: bool
) -> None:
    """Write ``model``'s folder to ``target`` with every update applied, one weight file at a time.

    Raises:
        BadInput: an update has no weight to go to, or not its shape.
    """
    import torch

    target.mkdir()
    dtype, left = getattr(torch, settings.dtype), dict(updates)

    def merged(name: str, tensor: Any) -> Any:
        if through_nf4 and name.endswith("_proj.weight"):
            tensor = nf4_round_trip(tensor, settings.device)
        if update := left.pop(name, None):
            tensor = updated(name, tensor, update)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    for path in sorted(model.iterdir()):
        if path.suffix != ".safetensors":
            if path.name not in NOT_COPIED:
                shutil.copyfile(path, target / path.name)
            continue
        rewrite(path, target / path.name, merged)
    if left:
        raise BadInput(
            f"{model} has no weight {next(iter(left))} that the adapter updates ({len(left)} of {len(updates)} are "
            "missing); it is another model's adapter"
        )
    config = json.loads((target / "config.json").read_text())
    config.pop("torch_dtype", None)
    (target / "config.json").write_text(json.dumps(config | {"dtype": settings.dtype}, indent=2, sort_keys=True) + "\n")


def updated(name: str, weight: "torch.Tensor", update: Update) -> "torch.Tensor":
    """``weight + scale * up @ down`` in float32."""
    change = update.scale * (update.up @ update.down)
    if change.shape != weight.shape:
        raise BadInput(
            f"the adapter's update of {name} has shape {tuple(change.shape)}, the weight {tuple(weight.shape)}; it is "
            "another model's adapter"
        )
    return weight.float() + change


def nf4_round_trip(weight: "torch.Tensor", device: str) -> "torch.Tensor":
    """``weight`` as a base quantised to NF4 (blocks of 64, double quantisation) has it, in float32."""
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    quantised, state = quantize_4bit(weight.to(device), quant_type="nf4", compress_statistics=True)
    state.dtype = torch.float32
    return dequantize_4bit(quantised, state).cpu()


def answer_logits(
    model: Path, texts: Sequence[Encoded], settings: Merging, *, quantise: str = "none", adapter: Path | None = None
) -> list["torch.Tensor"]:
    """Float32 logits at the places that predict answer tokens, one (answer tokens, vocabulary) tensor per text, on the
    CPU."""
    import torch

    loaded: Any = load_model(model, device=settings.device, dtype=settings.dtype, quantise=quantise)
    if adapter is not None:
        loaded = load_adapter(loaded, adapter, trainable=False).eval()
    found = []
    with torch.inference_mode():
        for text in texts:
            logits = loaded(input_ids=torch.tensor([text.ids], device=settings.device), use_cache=False).logits[0, :-1]
            found.append(logits[torch.tensor(text.labels[1:], device=settings.device) != IGNORE].float().cpu())
    return found


def agreement(
    reference: Sequence["torch.Tensor"], merged: Sequence["torch.Tensor"], texts: Sequence[Encoded]
) -> Agreement:
    """Compare two models' logits on the same texts; losses are against the texts' own answers."""
    import torch
    from torch.nn.functional import cross_entropy, kl_div

    first, second = torch.cat(list(reference)), torch.cat(list(merged))
    wanted = torch.tensor([label for text in texts for label in text.labels[1:] if label != IGNORE])
    divergence = kl_div(second.log_softmax(-1), first.log_softmax(-1), reduction="batchmean", log_target=True)
    return Agreement(
        (first - second).abs().max().item(),
        max(0.0, divergence.item()),
        cross_entropy(first, wanted).item(),
        cross_entropy(second, wanted).item(),
    )


def check(found: Agreement, settings: Merging, model: Artifact, adapter: Artifact) -> None:
    """Refuse a merge that changed what the model says (NaN is refused too).

    Raises:
        GateFailed: with both numbers.
    """
    if not (found.difference <= settings.max_difference and found.divergence <= settings.max_divergence):
        raise GateFailed(
            f"merge of {adapter.short} into {model.short}: logits differ from base + adapter by {found.difference:.3g} "
            f"(at most {settings.max_difference:g}), "
            f"KL {found.divergence:.3g} nats (at most {settings.max_divergence:g}); the merged model is not used"
        )

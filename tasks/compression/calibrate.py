"""Making an exported model as sure as it is right: one temperature on its logits (Guo et al. 2017, arXiv 1706.04599).

Rounding and pruning change how sure a model is. The temperature is fitted on one half of the validation examples,
judged on the other, and written into the file as a smaller or larger final norm, so every reader of the file sees the
same probabilities and greedy answers stay what they are. Where the other half does not confirm it, the file stays as it
was. Not here: the router's own calibration.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from blocks import store
from blocks.models import gguf_file
from blocks.models.checkpoint import model_folder
from blocks.models.encoding import Conversation
from blocks.records import Artifact
from configs.errors import BadInput
from configs.phases.compression import Temperature
from tasks.compression.calibration import IGNORE, conversations, padded
from tasks.compression.export.dequantise import dequantised
from tasks.step import step

if TYPE_CHECKING:
    import torch

NORM = "output_norm.weight"
TEMPERATURES = tuple(1.02**i for i in range(-40, 41))  # 0.45 to 2.2
UNCHANGED = TEMPERATURES.index(1.0)


@step(version=2)
def calibrate(gguf: Artifact, model: Artifact, dataset: Artifact, settings: Temperature, seed: int) -> Artifact:
    """``gguf``, exported from ``model``, with its logits divided by the temperature that fits; kind "gguf".

    Metrics: temperature (1 where none is confirmed), and on the examples it was not fitted on, nats per answer token
    before and after.

    Raises:
        BadInput: not a gguf, or no validation example is short enough.
    """
    if gguf.kind != "gguf":
        raise BadInput(f"{gguf.short} is a {gguf.kind}; give an artifact of kind gguf")
    path, original = store.open(gguf) / "model.gguf", model_folder(model)
    with store.create("gguf", parents=[gguf, model, dataset], settings={**settings.identity(), "seed": seed}) as made:
        judged = conversations(
            dataset, "validation", original, limit=settings.examples, tokens=settings.tokens, seed=seed
        )
        fitted, other = _losses(path, original, judged, settings)
        best = int(fitted.argmin())
        if other[best] >= other[UNCHANGED]:
            best = UNCHANGED
        temperature = TEMPERATURES[best]
        shutil.copyfile(path, made.path / "model.gguf")
        scale_logits(made.path / "model.gguf", 1 / temperature)
        made.metrics |= {
            **gguf.metrics,
            "temperature": temperature,
            "nll_before": float(other[UNCHANGED]),
            "nll_after": float(other[best]),
        }
    return made.artifact


def losses(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Summed negative log-likelihood (nats) of ``labels`` (tokens,) under ``logits`` (tokens, vocabulary) at each of
    ``TEMPERATURES``."""
    import torch
    from torch.nn.functional import cross_entropy

    return torch.stack(
        [cross_entropy(logits / temperature, labels, reduction="sum").double().cpu() for temperature in TEMPERATURES]
    )


def scale_logits(path: Path, factor: float) -> None:
    """Multiply every logit of a GGUF model by ``factor``, in place: its final norm, which is F32, carries it.

    Raises:
        BadInput: the file is damaged, or has no such norm.
    """
    import numpy as np

    norm = next((tensor for tensor in gguf_file.tensors(path) if tensor.name == NORM), None)
    if norm is None or norm.kind.name != "F32":
        raise BadInput(f"{path} has no {NORM} in F32; export the model again")
    scaled = (gguf_file.values(path, norm) * np.float32(factor)).tobytes()
    with path.open("r+b") as stream:
        stream.seek(norm.start)
        stream.write(scaled)


def _losses(
    path: Path, original: Path, judged: list[Conversation], settings: Temperature
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Mean negative log-likelihood of the answers' tokens at each temperature, over the examples at even and at odd
    places."""
    import torch

    model = dequantised(path, original, settings.device)
    means = []
    for part in (judged[::2], judged[1::2]):
        total, count = torch.zeros(len(TEMPERATURES), dtype=torch.float64), 0
        for start in range(0, len(part), settings.batch):
            ids, aims, _ = padded(part[start : start + settings.batch])
            with torch.no_grad():
                logits = model(input_ids=ids.to(model.device)).logits[:, :-1].float()
            counted = (aims[:, 1:] != IGNORE).to(logits.device)
            total += losses(logits[counted], aims[:, 1:].to(logits.device)[counted])
            count += int(counted.sum())
        means.append(total / count)
    return means[0], means[1]

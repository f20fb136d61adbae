"""A GGUF Llama back as transformers weights: what a quantised file computes, up to llama.cpp's rounding of activations.

Needed where full probabilities are: llama.cpp reports only the likeliest. Not here: running the file itself (blocks/llama_cpp).
"""

from pathlib import Path
from typing import Any

from tasks.compression.checkpoint import Checkpoint
from tasks.compression.gguf_write import rotary_heads, tensor_names


def dequantised(gguf: Path, original: Path, device: str) -> Any:
    """The transformers model of the folder ``original`` with the weights of ``gguf``, which was written from it."""
    import torch
    from gguf import GGUFReader, quants

    from tasks.compression.activations import load

    model = load(original, device)
    weights = dict(model.named_parameters())
    found = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
    with Checkpoint(original) as checkpoint, torch.no_grad():
        for source, target in tensor_names(checkpoint).items():
            tensor = found[target]
            values = torch.from_numpy(quants.dequantize(tensor.data, tensor.tensor_type).copy()).reshape(weights[source].shape)
            heads = rotary_heads(source, checkpoint.config)
            weights[source].copy_(restore(values, heads) if heads is not None else values)
    return model


def restore(rows: Any, heads: int) -> Any:
    """The inverse of :func:`tasks.compression.gguf_write.permute`."""
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)

"""A GGUF model back as transformers weights: what a quantised file computes, up to llama.cpp's rounding of activations.

Needed where full probabilities are: llama.cpp reports only the likeliest. Not here: running the file itself
(blocks/engines/llama_cpp).
"""

from pathlib import Path
from typing import Any

from blocks.models import gguf_file
from blocks.models.checkpoint import Checkpoint
from blocks.models.gguf_layout import restore, rotary_heads
from blocks.models.load import load_model
from configs.errors import BadInput
from configs.phases.compression import Device
from tasks.compression.export.gguf_write import tensor_names


def dequantised(gguf: Path, original: Path, device: Device) -> Any:
    """The transformers model of the folder ``original`` with the weights of ``gguf``, which was written from it.

    Raises:
        BadInput: the file is damaged, or was not written from that model.
    """
    import torch

    found = {tensor.name: tensor for tensor in gguf_file.tensors(gguf)}
    model = load_model(original, device=device)
    weights = dict(model.named_parameters())
    with Checkpoint(original) as checkpoint, torch.no_grad():
        for source, target in tensor_names(checkpoint).items():
            tensor, shape = found.get(target), tuple(weights[source].shape)
            if tensor is None or tuple(reversed(tensor.shape)) != shape:
                raise BadInput(
                    f"{gguf}: {target} is {'missing' if tensor is None else list(reversed(tensor.shape))}, the model "
                    f"has {list(shape)}; export the model again"
                )
            values = torch.from_numpy(gguf_file.values(gguf, tensor))
            heads = rotary_heads(source, checkpoint.config)
            weights[source].copy_(restore(values, heads) if heads is not None else values)
    return model

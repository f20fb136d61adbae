"""A GGUF file's weights as a model folder: every tensor turned back into numbers once, under its Hugging Face name, the
rows of queries and keys in transformers' order, files of a bounded size.

Not here: its configuration and tokenizer (blocks/models/gguf_config.py, gguf_tokenizer.py).
"""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blocks.models import gguf_config, gguf_file, gguf_layout, model_config
from blocks.models.gguf_file import GgufFile, Tensor
from blocks.models.weights import INDEX, ONE
from blocks.progress import progress
from configs.errors import BadInput
from configs.phases.training import Dtype

if TYPE_CHECKING:
    import torch

SHARD = 2 << 30  # bytes of a file of weights


class Described(NamedTuple):
    """``config``: config.json; ``tensors``: Hugging Face name → the tensor in the file; ``kinds``: how many tensors
    the file has of each of llama.cpp's types."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    kinds: dict[str, int]


def describe(path: Path, file: GgufFile) -> Described:
    """What is in ``file``, read from ``path``, held against what its metadata says it is.

    Raises:
        BadInput: as :func:`blocks.models.gguf_config.config`; or tensors are missing, too many or of another shape.
    """
    config = gguf_config.config(path, file)
    names = gguf_layout.gguf_names(config)
    left = {tensor.name: tensor for tensor in file.tensors}
    left.pop(gguf_config.FREQUENCIES, None)
    found, missing = {}, []
    for name, shape in model_config.tensor_shapes(config).items():
        target = names.get_name(name, try_suffixes=(".weight", ".bias")) or name
        tensor = left.pop(target, None)
        if tensor is None:
            missing.append(target)
        elif tuple(reversed(tensor.shape)) != shape:
            raise BadInput(
                f"{path}: {target} has shape {list(reversed(tensor.shape))}; by the file's metadata it is {list(shape)}"
            )
        else:
            found[name] = tensor
    if missing:
        raise BadInput(f"{path}: the tensor {missing[0]} is missing ({len(missing)} in all); fetch the file again")
    if left:
        raise BadInput(
            f"{path}: it holds {min(left)[:80]!r} ({len(left)} in all), which a {config['model_type']} of its metadata "
            "has not"
        )
    kinds = Counter(tensor.kind.name for tensor in file.tensors)
    return Described(config, found, dict(sorted(kinds.items())))


def write(path: Path, described: Described, folder: Path, dtype: Dtype) -> None:
    """Write config.json and the weights, in ``dtype``, into ``folder``, one file of at most ``SHARD`` bytes at a time.

    Raises:
        BadInput: a value is not finite in ``dtype``.
    """
    from safetensors.torch import save_file

    files: list[list[str]] = []
    held: dict[str, torch.Tensor] = {}

    def save() -> None:
        save_file(held, folder / f"part-{len(files)}.safetensors", metadata={"format": "pt"})
        files.append(list(held))
        held.clear()

    with progress("reading the GGUF file", len(described.tensors)) as advance:
        for name, tensor in described.tensors.items():
            values = _values(path, name, tensor, described.config, dtype)
            if held and sum(one.nbytes for one in held.values()) + values.nbytes > SHARD:
                save()
            held[name] = values
            advance()
    save()
    named = [ONE] if len(files) == 1 else [
        f"model-{number:05}-of-{len(files):05}.safetensors" for number in range(1, len(files) + 1)
    ]  # fmt: skip
    for number, name in enumerate(named):
        (folder / f"part-{number}.safetensors").rename(folder / name)
    if len(files) > 1:
        found = {name: file for file, names in zip(named, files, strict=True) for name in names}
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": found}, indent=2) + "\n")
    config = described.config | {"dtype": dtype}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _values(path: Path, name: str, tensor: Tensor, config: dict[str, Any], dtype: Dtype) -> "torch.Tensor":
    import torch

    values = gguf_file.values(path, tensor)
    heads = gguf_layout.rotary_heads(name, config)
    found = torch.from_numpy(gguf_layout.restore(values, heads) if heads is not None else values)
    found = found.to(getattr(torch, dtype)).contiguous()
    if not bool(torch.isfinite(found).all()):
        raise BadInput(f"{path}: {tensor.name} holds values that are not finite in {dtype}; fetch the file again")
    return found

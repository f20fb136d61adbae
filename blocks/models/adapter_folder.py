"""A PEFT LoRA adapter's folder, looked over before PEFT or llama.cpp loads from it.

Accepted is LoRA on projections by name, in safetensors. PEFT would also read a pickle where the safetensors are
missing, ask the hub where both are, and run the patterns of its configuration as regular expressions. Not here: what is
made of the adapter, and whether it fits a model.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from blocks.models import json_object, safetensors_file
from blocks.models.safetensors_file import Tensor
from configs.errors import BadInput

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
DTYPES = ("F64", "F32", "F16", "BF16")
_PATTERNS = ("rank_pattern", "alpha_pattern")
_NAME = re.compile(r"\^?[\w.]{1,200}\$?")  # of a module: no repetition, so that no text can make its matching slow
_LARGEST = 1 << 16  # of a rank


class AdapterFolder(NamedTuple):
    """``config``: adapter_config.json; ``tensors``: what its weights hold, by name."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]


def read(folder: Path) -> AdapterFolder:
    """The adapter in ``folder``.

    Raises:
        BadInput: it is no LoRA, not in safetensors, damaged, or has a field of another type; one line with file, field
            and value.
    """
    path = folder / CONFIG
    config = json_object.read(path)
    for field, accepted in _faults(config):
        shown = "missing" if field not in config else repr(config[field])[:80]
        raise BadInput(f"{path}: {field} is {shown}; {accepted}")
    tensors = safetensors_file.header(folder / WEIGHTS)
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES or len(tensor.shape) not in (1, 2) or not all(tensor.shape):
            raise BadInput(
                f"{folder / WEIGHTS}: {name[:80]!r} has shape {list(tensor.shape)} in {tensor.dtype}; train the "
                "adapter again"
            )
    return AdapterFolder(config, tensors)


def _faults(config: dict[str, Any]) -> Any:
    """(field, what is accepted) of everything that is not a LoRA's."""
    if config.get("auto_map"):
        yield "auto_map", "code that comes with an adapter is never run"
    if config.get("peft_type") != "LORA":
        yield "peft_type", "train a plain LoRA"
    if type(config.get("r")) is not int or not 1 <= config["r"] <= _LARGEST:
        yield "r", f"a whole number from 1 to {_LARGEST}"
    if type(config.get("lora_alpha")) not in (int, float) or not 0 < config["lora_alpha"] <= _LARGEST:
        yield "lora_alpha", f"a number above 0, up to {_LARGEST}"
    targets = config.get("target_modules")
    if (
        not isinstance(targets, list)
        or not targets
        or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in targets)
    ):
        yield "target_modules", "a list of projections' names"
    for field in _PATTERNS:
        found = config.get(field)
        if found is not None and not (
            isinstance(found, dict)
            and all(
                _NAME.fullmatch(name) and type(value) in (int, float) and 0 < value <= _LARGEST
                for name, value in found.items()
            )
        ):
            yield field, f"an object of modules' names and numbers above 0, up to {_LARGEST}"

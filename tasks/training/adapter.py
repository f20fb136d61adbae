"""Adapter folders: PEFT's layout without paths or times, plus base.json, which says what the adapter was trained on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from blocks.models import adapter_folder, safetensors_file
from blocks.records import Artifact, Record
from configs.errors import BadInput

if TYPE_CHECKING:
    import torch

WEIGHTS, CONFIG, BASE = adapter_folder.WEIGHTS, adapter_folder.CONFIG, "base.json"
PREFIX = "base_model.model."


class Base(Record):
    """base.json: digest of the model an adapter belongs to, and the precision it had while the adapter was trained."""

    model: str
    quantise: Literal["none", "nf4"]


class Update(NamedTuple):
    """A low-rank update of one weight: ``scale * up @ down``; ``up`` is (out, rank), ``down`` (rank, in), float32."""

    down: "torch.Tensor"
    up: "torch.Tensor"
    scale: float


def write_adapter(model: Any, folder: Path, *, base: Artifact, quantise: Literal["none", "nf4"]) -> None:
    """Save the PEFT model's adapter into ``folder``, the same files for the same weights."""
    model.save_pretrained(folder, save_embedding_layers=False)  # "auto" asks the hub about the base
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / CONFIG).read_text())
    config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set, in any order
    config["base_model_name_or_path"] = (
        None  # PEFT writes the path it was loaded from; base.json says which model it is
    )
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / BASE).write_text(Base(model=base.digest, quantise=quantise).model_dump_json() + "\n")


def read_base(folder: Path) -> Base:
    """What the adapter in ``folder`` was trained on.

    Raises:
        BadInput: the folder says nothing about it.
    """
    try:
        return Base.model_validate_json((folder / BASE).read_text())
    except (OSError, ValueError):
        raise BadInput(
            f"{folder} has no readable {BASE}; only adapters made by sft, anil or control can be merged"
        ) from None


def read_updates(folder: Path) -> dict[str, Update]:
    """The updates in an adapter's folder, by the name of the weight they belong to.

    Raises:
        BadInput: the adapter is more than plain LoRA on linear layers, or its pairs are not complete.
    """
    config = adapter_folder.read(folder).config
    odd = [
        name
        for name in (
            "use_rslora",
            "use_dora",
            "fan_in_fan_out",
            "modules_to_save",
            "rank_pattern",
            "alpha_pattern",
            "lora_bias",
        )
        if config.get(name)
    ]
    if config.get("bias", "none") != "none" or odd:
        raise BadInput(f"{folder}: the adapter is not plain LoRA ({', '.join(odd) or 'bias'}); train it with sft")
    tensors = safetensors_file.load(folder / WEIGHTS)
    scale = config["lora_alpha"] / config["r"]
    downs = {name: tensor for name, tensor in tensors.items() if name.endswith(".lora_A.weight")}
    updates = {
        name.removeprefix(PREFIX).replace(".lora_A.weight", ".weight"): Update(
            tensor.float(), tensors[name.replace(".lora_A.", ".lora_B.")].float(), scale
        )
        for name, tensor in downs.items()
        if name.replace(".lora_A.", ".lora_B.") in tensors
    }
    if 2 * len(updates) != len(tensors) or not updates:
        raise BadInput(
            f"{folder}: {len(tensors)} tensors are not {len(tensors) // 2} complete pairs of lora_A and lora_B; train "
            "the adapter again"
        )
    return updates

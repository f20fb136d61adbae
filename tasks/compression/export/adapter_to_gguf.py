"""A PEFT LoRA adapter as a GGUF adapter that llama.cpp switches per request.

The base's row order for queries and keys applies to the adapter's output side too. Not here: merging (tasks/training),
DoRA, adapters on embeddings or with extra trained modules, which llama.cpp cannot apply.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.models import adapter_folder, json_object, model_config, safetensors_file
from blocks.models.checkpoint import model_folder
from blocks.models.gguf_layout import gguf_names, permute, rotary_heads
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.step import step

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "base_model.model."
# llama.cpp scales B·A by alpha / rank itself; anything else in the configuration changes the product and is refused.
_UNSUPPORTED = (
    "use_dora",
    "modules_to_save",
    "fan_in_fan_out",
    "lora_bias",
    "trainable_token_indices",
    "layer_replication",
)


@step(version=1)
def adapter_to_gguf(adapter: Artifact, model: Artifact) -> Artifact:
    """``adapter`` (PEFT, trained on ``model``) as ``adapter.gguf`` in F16.

    Raises:
        BadInput: not a LoRA adapter, of a kind llama.cpp cannot apply, or for a model of other shapes.
    """
    from gguf import GGUFWriter
    from gguf.constants import LlamaFileType

    if adapter.kind != "adapter":
        raise BadInput(f"{adapter.short} is a {adapter.kind}; give an artifact of kind adapter (a PEFT folder)")
    source, base = store.open(adapter), json_object.read(model_folder(model) / "config.json")
    config = adapter_folder.read(source).config
    unsupported = [name for name in _UNSUPPORTED if config.get(name)] + (
        ["bias"] if config.get("bias", "none") != "none" else []
    )
    if unsupported:
        raise BadInput(f"{adapter.short}: llama.cpp cannot apply it ({', '.join(unsupported)}); train a plain LoRA")
    with store.create("gguf_adapter", parents=[adapter, model]) as folder:
        writer = GGUFWriter(folder.path / "adapter.gguf", model_config.family(base).gguf)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
        writer.add_file_type(LlamaFileType.MOSTLY_F16)
        parameters = 0
        for name, values in _tensors(source, config, base, adapter).items():
            writer.add_tensor(name, values)
            parameters += values.size
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        folder.metrics.update(
            parameters=parameters, megabytes=(folder.path / "adapter.gguf").stat().st_size / 1e6, rank=config["r"]
        )
    return folder.artifact


def _tensors(source: Path, config: dict[str, Any], base: dict[str, Any], adapter: Artifact) -> "dict[str, np.ndarray]":
    """GGUF name → F16 values: ``lora_a`` (rank, inputs), ``lora_b`` (outputs, rank)."""
    import numpy as np

    known = gguf_names(base)
    weights = {
        name: weight.float().numpy() for name, weight in safetensors_file.load(source / adapter_folder.WEIGHTS).items()
    }
    shapes, found = model_config.tensor_shapes(base), dict[str, "np.ndarray"]()
    for name in sorted(weights):
        module, _, end = name.removeprefix(_PREFIX).partition(".lora_")
        target = known.get_name(module)
        shape = shapes.get(f"{module}.weight")
        if end not in ("A.weight", "B.weight") or target is None or not target.startswith("blk.") or shape is None:
            raise BadInput(
                f"{adapter.short}: tensor {name!r} has no place in an adapter for llama.cpp; adapt attention and "
                "feed-forward layers only"
            )
        other = weights.get(f"{_PREFIX}{module}.lora_{'B' if end[0] == 'A' else 'A'}.weight")
        values = weights[name]
        rank = values.shape[0] if end[0] == "A" else values.shape[-1]
        if (
            other is None
            or values.ndim != 2
            or other.ndim != 2
            or (other.shape[0] if end[0] == "B" else other.shape[-1]) != rank
        ):
            raise BadInput(
                f"{adapter.short}: {module} has no pair of lora_A and lora_B of one rank; train the adapter again"
            )
        if end == "A.weight" and values.shape[1] != shape[1]:
            raise BadInput(
                f"{adapter.short}: {module} has {values.shape[1]} inputs, the model {shape[1]}; the adapter belongs to "
                "another model"
            )
        if end == "B.weight":
            if values.shape[0] != shape[0]:
                raise BadInput(
                    f"{adapter.short}: {module} has {values.shape[0]} outputs, the model {shape[0]}; the adapter "
                    "belongs to another model"
                )
            values = values * _scale(module, rank, config)
            heads = rotary_heads(name, base)
            values = permute(values, heads) if heads is not None else values
        if not np.isfinite(values.astype(np.float16)).all():
            raise BadInput(f"{adapter.short}: {name} holds values that F16 cannot; train the adapter again")
        found[f"{target}.weight.lora_{end[0].lower()}"] = values.astype(np.float16)
    if not found:
        raise BadInput(f"{adapter.short}: no LoRA weights in adapter_model.safetensors")
    return found


def _scale(module: str, rank: int, config: dict[str, Any]) -> float:
    """What must be multiplied into B so that llama.cpp's ``alpha / rank`` gives PEFT's scale of this module."""

    def pattern(name: str, default: float) -> float:
        return next(
            (float(value) for key, value in (config.get(name) or {}).items() if re.match(rf"(.*\.)?({key})$", module)),
            default,
        )

    alpha = pattern("alpha_pattern", float(config["lora_alpha"]))
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return scale / (float(config["lora_alpha"]) / rank)

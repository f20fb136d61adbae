"""A PEFT LoRA adapter as a GGUF adapter that llama.cpp switches per request.

The base's row order for queries and keys applies to the adapter's output side too. Not here: merging (tasks/training), DoRA, adapters
on embeddings or with extra trained modules, which llama.cpp cannot apply.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.compression.checkpoint import llama, read_json
from tasks.compression.gguf_write import permute, rotary_heads
from tasks.step import step

if TYPE_CHECKING:
    import numpy as np

_PREFIX = "base_model.model."
# llama.cpp scales B·A by alpha / rank itself; anything else in the configuration changes the product and is refused.
_UNSUPPORTED = ("use_dora", "modules_to_save", "fan_in_fan_out", "lora_bias", "trainable_token_indices", "layer_replication")


@step(version=1)
def adapter_to_gguf(adapter: Artifact, model: Artifact) -> Artifact:
    """``adapter`` (PEFT, trained on ``model``) as ``adapter.gguf`` in F16.

    Raises:
        BadInput: not a LoRA adapter, of a kind llama.cpp cannot apply, or for a model of other shapes.
    """
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFWriter
    from gguf.constants import LlamaFileType

    if adapter.kind != "adapter":
        raise BadInput(f"{adapter.short} is a {adapter.kind}; give an artifact of kind adapter (a PEFT folder)")
    source, base = store.open(adapter), read_json(llama(model) / "config.json")
    config = read_json(source / "adapter_config.json")
    unsupported = [name for name in _UNSUPPORTED if config.get(name)] + (["bias"] if config.get("bias", "none") != "none" else [])
    if config.get("peft_type") != "LORA" or unsupported:
        raise BadInput(f"{adapter.short}: llama.cpp cannot apply it ({', '.join(unsupported) or config.get('peft_type')}); train a plain LoRA")
    with store.create("gguf_adapter", parents=[adapter, model]) as folder:
        writer = GGUFWriter(folder.path / "adapter.gguf", MODEL_ARCH_NAMES[MODEL_ARCH.LLAMA])
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
        folder.metrics.update(parameters=parameters, megabytes=(folder.path / "adapter.gguf").stat().st_size / 1e6, rank=config["r"])
    return folder.artifact


def _tensors(source: Path, config: dict[str, Any], base: dict[str, Any], adapter: Artifact) -> "dict[str, np.ndarray]":
    """GGUF name → F16 values: ``lora_a`` (rank, inputs), ``lora_b`` (outputs, rank)."""
    import numpy as np
    from gguf import MODEL_ARCH, get_tensor_name_map
    from safetensors.torch import load_file

    known = get_tensor_name_map(MODEL_ARCH.LLAMA, base["num_hidden_layers"])
    weights = {name: weight.float().numpy() for name, weight in load_file(source / "adapter_model.safetensors").items()}
    found: dict[str, np.ndarray] = {}
    for name in sorted(weights):
        module, _, end = name.removeprefix(_PREFIX).partition(".lora_")
        target = known.get_name(module)
        if end not in ("A.weight", "B.weight") or target is None or not target.startswith("blk."):
            raise BadInput(f"{adapter.short}: tensor {name!r} has no place in a Llama adapter for llama.cpp; adapt attention and feed-forward layers only")
        values = weights[name]
        if end == "B.weight":
            outputs = _outputs(module, base)
            if values.shape[0] != outputs:
                raise BadInput(f"{adapter.short}: {module} has {values.shape[0]} outputs, the model {outputs}; the adapter belongs to another model")
            values = values * _scale(module, values.shape[1], config)
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
        return next((float(value) for key, value in (config.get(name) or {}).items() if re.match(rf"(.*\.)?({key})$", module)), default)

    alpha = pattern("alpha_pattern", float(config["lora_alpha"]))
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return scale / (float(config["lora_alpha"]) / rank)


def _outputs(module: str, base: dict[str, Any]) -> int:
    """Outputs of a projection in the base model."""
    size = int(base.get("head_dim") or base["hidden_size"] // base["num_attention_heads"])
    widths = {
        "q_proj": size * base["num_attention_heads"],
        "k_proj": size * int(base.get("num_key_value_heads") or base["num_attention_heads"]),
        "v_proj": size * int(base.get("num_key_value_heads") or base["num_attention_heads"]),
        "gate_proj": base["intermediate_size"],
        "up_proj": base["intermediate_size"],
    }
    return int(widths.get(module.rpartition(".")[2], base["hidden_size"]))

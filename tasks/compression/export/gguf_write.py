"""A Hugging Face model folder as one GGUF file, quantised tensor by tensor with llama.cpp's own quantiser.

Rounds once, from the stored weights. Holds one tensor at a time, so a model of any size passes through.
Not here: adapters (adapter_to_gguf.py), packing for transport (zstd.py).
"""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks import store
from blocks.models import model_config, safetensors_file
from blocks.models.checkpoint import Checkpoint, model_folder
from blocks.models.gguf_layout import gguf_names, permute, rope_frequencies, rotary_heads
from blocks.progress import progress
from blocks.records import Artifact
from configs.errors import BadInput
from tasks.compression.export.mixtures import file_type, intended_type, tensor_type
from tasks.compression.export.quantiser import block_bytes, quantise
from tasks.compression.export.vocabulary import write_vocabulary
from tasks.step import step

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

FALLBACK = "fallback_"  # begins the names of such metrics


@step(version=1)
def to_gguf(model: Artifact, quantisation: str, importance: Artifact | None = None) -> Artifact:
    """``model`` as ``model.gguf`` in llama.cpp's mixture ``quantisation`` (see mixtures.QUANTISATIONS).

    ``importance`` (kind importance, from importance.py) weighs rounding errors by how large each input is in use.

    Raises:
        BadInput: not such a model, an unknown quantisation or a tokenizer that GGUF cannot carry.
    """
    file_type(quantisation)
    parents = [model] if importance is None else [model, importance]
    with (
        store.create("gguf", parents=parents, settings={"quantisation": quantisation}) as folder,
        Checkpoint(model_folder(model)) as checkpoint,
    ):
        weights = {} if importance is None else _importance(importance)
        folder.metrics.update(write(checkpoint, folder.path / "model.gguf", quantisation, weights))
        size, parameters = (folder.path / "model.gguf").stat().st_size, checkpoint.parameters()
        folder.metrics.update(parameters=parameters, megabytes=size / 1e6, bits_per_parameter=8 * size / parameters)
    return folder.artifact


def write(checkpoint: Checkpoint, path: Path, quantisation: str, importance: "dict[str, np.ndarray]") -> Counter[str]:
    """Write the checkpoint to ``path``. ``importance`` maps Hugging Face weight names to (inputs,) float arrays.

    Returns:
        Metrics: how many tensors were written in another type than the mixture's, as the blocks of that do not divide
        their rows; a metric for every pair of types, none where all fit.
    """
    from gguf import GGUFWriter
    from gguf.constants import GGML_QUANT_VERSION, GGMLQuantizationType

    config = checkpoint.config
    writer = GGUFWriter(path, model_config.family(config).gguf)
    writer.add_type("model")
    writer.add_file_type(file_type(quantisation))
    writer.add_quantization_version(GGML_QUANT_VERSION)
    _write_shape(writer, config)
    write_vocabulary(writer, checkpoint.folder, config["vocab_size"])
    names = tensor_names(checkpoint)
    rope = rope_frequencies(config)
    kinds, fallbacks = {}, Counter[str]()
    for source, target in names.items():
        shape = checkpoint.shape(source)
        about: dict[str, Any] = {
            "n_layers": config["num_hidden_layers"],
            "tied": "lm_head.weight" not in names,
            "weighed": bool(importance),
        }
        kinds[source] = tensor_type(quantisation, target, shape, **about)
        intended = intended_type(quantisation, target, shape, **about)
        if kinds[source] is not intended:
            fallbacks[f"{FALLBACK}{intended.name}_as_{kinds[source].name}"] += 1
        writer.add_tensor_info(target, shape, _float32(), block_bytes(kinds[source], math.prod(shape)), kinds[source])
    if rope is not None:
        writer.add_tensor_info("rope_freqs.weight", rope.shape, rope.dtype, rope.nbytes, GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    with progress(f"writing {quantisation} GGUF", len(names)) as advance:
        for source in names:
            writer.write_tensor_data(_blocks(checkpoint, source, kinds[source], importance.get(source)))
            advance()
    if rope is not None:
        writer.write_tensor_data(rope)
    writer.close()
    return fallbacks


def tensor_names(checkpoint: Checkpoint) -> dict[str, str]:
    """Hugging Face tensor name → GGUF name, in file order: embedding, layers, norm, head. A tied head is left out.

    Raises:
        BadInput: a tensor that the architecture does not have.
    """
    known = gguf_names(checkpoint.config)
    found = {}
    for name in sorted(checkpoint.names(), key=_position):
        if (name == "lm_head.weight" and checkpoint.tied) or name.endswith("rotary_emb.inv_freq"):
            continue
        target = known.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise BadInput(f"{checkpoint.folder}: tensor {name!r} has no place in a GGUF of its architecture")
        found[name] = target
    return found


def _write_shape(writer: "GGUFWriter", config: dict[str, Any]) -> None:
    heads, size = config["num_attention_heads"], model_config.head_size(config)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(model_config.key_value_heads(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(model_config.rope_theta(config))
    writer.add_rope_dimension_count(size)
    if size * heads != config["hidden_size"]:
        writer.add_key_length(size)
        writer.add_value_length(size)


def _blocks(checkpoint: Checkpoint, name: str, kind: Any, importance: "np.ndarray | None") -> "np.ndarray":
    """One tensor's bytes in GGML type ``kind``."""
    import numpy as np

    values = checkpoint.read(name)
    heads = rotary_heads(name, checkpoint.config)
    if heads is not None:
        values = permute(values, heads)
    rows = values.reshape(1, -1) if values.dim() == 1 else values
    if kind.name == "F32":
        return rows.float().numpy()
    step_rows = max(1, (1 << 25) // rows.shape[1])
    pieces = [
        quantise(rows[start : start + step_rows].float().numpy(), kind, importance)
        for start in range(0, rows.shape[0], step_rows)
    ]
    return np.concatenate(pieces)


def _importance(artifact: Artifact) -> "dict[str, np.ndarray]":
    if artifact.kind != "importance":
        raise BadInput(f"{artifact.short} is a {artifact.kind}; give an artifact of kind importance")
    return {
        name: values.numpy()
        for name, values in safetensors_file.load(store.open(artifact) / "importance.safetensors").items()
    }


def _position(name: str) -> tuple[int, int, str]:
    if name.startswith("model.layers."):
        return (1, int(name.split(".")[2]), name)
    return ({"model.embed_tokens.weight": 0, "model.norm.weight": 2}.get(name, 3), 0, name)


def _float32() -> "np.dtype":
    import numpy as np

    return np.dtype(np.float32)

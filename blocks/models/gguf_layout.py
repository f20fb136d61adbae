"""How llama.cpp lays out a model: its names of the tensors, its order of the rows of queries and keys, its divisors of
the rotary frequencies. One place for those who write a GGUF file and those who read one back.

Not here: the file itself (gguf_file.py), its metadata (gguf_config.py).
"""

from typing import TYPE_CHECKING, Any

from blocks.models import model_config
from configs.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from gguf import TensorNameMap


def gguf_names(config: dict[str, Any]) -> "TensorNameMap":
    """Hugging Face names to llama.cpp's, for the architecture of ``config``."""
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    architecture = {name: key for key, name in MODEL_ARCH_NAMES.items()}[model_config.family(config).gguf]
    return get_tensor_name_map(MODEL_ARCH(architecture), config["num_hidden_layers"])


def permute(rows: Any, heads: int) -> Any:
    """Rows of a query or key projection in llama.cpp's order: each head's two rotary halves interleaved."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def restore(rows: Any, heads: int) -> Any:
    """The inverse of :func:`permute`."""
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def rotary_heads(name: str, config: dict[str, Any]) -> int | None:
    """Number of heads whose rows must be permuted in the tensor ``name`` (weight, bias or the output side of an
    adapter); None for all but queries and keys, and where the architecture's rows stay as they are."""
    if not model_config.family(config).permuted:
        return None
    if ".q_proj." in name:
        return int(config["num_attention_heads"])
    if ".k_proj." in name:
        return model_config.key_value_heads(config)
    return None


def rope_frequencies(config: dict[str, Any]) -> "np.ndarray | None":
    """Llama 3.1's per-frequency divisors (head_dim / 2,), float32; None where positions are not scaled so.

    Long waves are slowed by ``factor``, short ones kept, those between blended (Meta's ``apply_scaling``).

    Raises:
        BadInput: a scaling of another type.
    """
    import numpy as np

    rope = model_config.rope(config)
    if rope["rope_type"] == "default":
        return None
    if rope["rope_type"] != "llama3":
        raise BadInput(f"rope type {rope['rope_type']!r} cannot be written to GGUF; only default and llama3 can")
    size = model_config.head_size(config)
    frequencies = model_config.rope_theta(config) ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1.0 / ((1.0 - share) / factor + share)).astype(np.float32)

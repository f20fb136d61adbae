"""The config.json that a GGUF file's metadata describes, so that a student can be taken out of the file.

Everything is refused by name that would make another model of it: an architecture with no counterpart here, experts,
windows, scaled positions other than Llama 3.1's. Not here: the weights (tasks/training/students/from_gguf.py), and what
a config.json may say (model_config.py), against which the result is held.
"""

from pathlib import Path
from typing import Any

from blocks.models import gguf_file, gguf_layout, model_config
from blocks.models.gguf_file import GgufFile
from configs.errors import BadInput

EMBEDDING, HEAD, FREQUENCIES = "token_embd.weight", "output.weight", "rope_freqs.weight"
# A file does not say whether a llama was a Mistral, and there is no difference that a window-less one could show.
_CLASSES = {kind.gguf: name for name, kind in reversed(model_config.FAMILIES.items())}
_SHARES = (1.0, 4.0)  # low_freq_factor and high_freq_factor of every Llama 3.1 and later
_LENGTHS = tuple(1 << power for power in range(4, 24))


def config(path: Path, file: GgufFile) -> dict[str, Any]:
    """The config.json of the model in ``file``, read from ``path``.

    Raises:
        BadInput: a field is missing, or says something that config.json cannot.
    """
    kind = file.fields.get("general.architecture")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise BadInput(
            f"{path}: general.architecture is {str(kind)[:40]!r}; the student has to be one of "
            f"{', '.join(sorted(_CLASSES))}"
        )
    if file.fields.get("general.type", "model") != "model":
        raise BadInput(f"{path}: general.type is {str(file.fields['general.type'])[:40]!r}; give a whole model's file")
    fields = {key.removeprefix(f"{kind}."): value for key, value in file.fields.items() if key.startswith(f"{kind}.")}
    shapes = {tensor.name: tuple(reversed(tensor.shape)) for tensor in file.tensors}
    if EMBEDDING not in shapes:
        raise BadInput(f"{path}: the tensor {EMBEDDING} is missing; fetch the file again")
    family = model_config.FAMILIES[_CLASSES[kind]]
    found: dict[str, Any] = {
        "architectures": [_CLASSES[kind]],
        "model_type": family.model_type,
        "vocab_size": shapes[EMBEDDING][0],
        "hidden_size": fields.get("embedding_length"),
        "intermediate_size": fields.get("feed_forward_length"),
        "num_hidden_layers": fields.get("block_count"),
        "num_attention_heads": fields.get("attention.head_count"),
        "num_key_value_heads": fields.get("attention.head_count_kv", fields.get("attention.head_count")),
        "max_position_embeddings": fields.get("context_length"),
        "rms_norm_eps": _short(fields.get("attention.layer_norm_rms_epsilon")),
        "hidden_act": "silu",
        "tie_word_embeddings": HEAD not in shapes,
        **{field: f"blk.0.{tensor}.bias" in shapes for field, tensor in _biases(family)},
        **{f"{name}_token_id": file.fields.get(f"tokenizer.ggml.{key}_token_id") for name, key in _TOKENS},
    }
    size = fields.get("attention.key_length")
    found["head_dim"] = size if size is not None else _quotient(found["hidden_size"], found["num_attention_heads"])
    found["rope_parameters"] = {"rope_type": "default", "rope_theta": _short(fields.get("rope.freq_base", 10000.0))}
    model_config.refuse(found, path)
    _refuse_others(path, kind, fields, found)
    if FREQUENCIES in shapes:
        found["rope_parameters"] = _llama3(path, file, found)
        model_config.refuse(found, path)
    return found


_TOKENS = (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))


def _biases(family: model_config.Family) -> tuple[tuple[str, str], ...]:
    return (("attention_bias", "attn_q"), ("mlp_bias", "ffn_up")) if family.options else ()


def _refuse_others(path: Path, kind: str, fields: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse what llama.cpp would do and a config.json of these architectures cannot say."""
    scaling, window = fields.get("rope.scaling.type", "none"), fields.get("attention.sliding_window")
    context = found["max_position_embeddings"]
    for field, wrong, accepted in (
        ("expert_count", bool(fields.get("expert_count")), "0: experts are not built here"),
        ("rope.scaling.type", scaling != "none", "none, or left out"),
        ("rope.scale_linear", fields.get("rope.scale_linear", 1.0) != 1.0, "1, or left out"),
        ("rope.dimension_count", fields.get("rope.dimension_count", found["head_dim"]) != found["head_dim"],
         f"the width of a head, {found['head_dim']}: positions turn whole heads"),
        ("attention.value_length", fields.get("attention.value_length", found["head_dim"]) != found["head_dim"],
         f"the width of a key, {found['head_dim']}"),
        ("attention.sliding_window", type(window) is int and 0 < window < (context or 0),
         f"at least context_length ({context}), or left out"),
    ):  # fmt: skip
        if wrong:
            raise BadInput(f"{path}: {kind}.{field} is {str(fields.get(field))[:40]}; it has to be {accepted}")


def _llama3(path: Path, file: GgufFile, found: dict[str, Any]) -> dict[str, Any]:
    """rope_parameters of type llama3 whose divisors are the file's, which holds them alone."""
    import numpy as np

    tensor = next(tensor for tensor in file.tensors if tensor.name == FREQUENCIES)
    divisors = gguf_file.values(path, tensor).reshape(-1)
    for length in _LENGTHS:
        rope = {
            **found["rope_parameters"],
            "rope_type": "llama3",
            "factor": round(float(divisors.max()), 4),
            "low_freq_factor": _SHARES[0],
            "high_freq_factor": _SHARES[1],
            "original_max_position_embeddings": length,
        }
        if rope["factor"] < 1:
            break
        expected = gguf_layout.rope_frequencies({**found, "rope_parameters": rope})
        assert expected is not None
        if expected.shape == divisors.shape and np.allclose(expected, divisors, rtol=1e-5, atol=0):
            return rope
    raise BadInput(f"{path}: {FREQUENCIES} scales positions in another way than Llama 3.1's; it cannot be a student")


def _short(value: Any) -> Any:
    """A 32-bit number as it was written in decimal: 1e-05, not 9.999999747378752e-06."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _quotient(whole: Any, parts: Any) -> Any:
    return whole // parts if type(whole) is int and type(parts) is int and parts > 0 else None

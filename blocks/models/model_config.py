"""What config.json may say of a Llama, Mistral, Qwen2 or Qwen3, in one place: all that training, pruning, AWQ, GGUF and
llama.cpp can do, and nothing else.

A student is held against it when it is adopted, a model before it is exported. Not here: its weights
(student_folder.py), its vocabulary (vocabulary.py), sizes for a plan (blocks/models/architecture.py).
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blocks.models import json_object
from configs.errors import BadInput


class Family(NamedTuple):
    """How an architecture differs from the others.

    ``model_type``: transformers' name. ``gguf``: llama.cpp's name, under which a file is written. ``permuted``: there a
    query's and a key's two rotary halves are interleaved. ``biases``: projections that always have one. ``head_norms``:
    queries and keys pass a norm of their own, head by head. ``options``: the fields that may add biases.
    ``stated``: fields that transformers would fill with a number of its own, and which therefore have to be there.
    """

    model_type: str
    gguf: str
    permuted: bool
    biases: tuple[str, ...] = ()
    head_norms: bool = False
    options: tuple[str, ...] = ()
    stated: tuple[str, ...] = ("num_key_value_heads",)


FAMILIES = {
    "LlamaForCausalLM": Family("llama", "llama", True, options=("attention_bias", "mlp_bias"), stated=()),
    "MistralForCausalLM": Family("mistral", "llama", True),
    "Qwen2ForCausalLM": Family("qwen2", "qwen2", False, biases=("q_proj", "k_proj", "v_proj")),
    "Qwen3ForCausalLM": Family("qwen3", "qwen3", False, head_norms=True, stated=("num_key_value_heads", "head_dim")),
}

LAYERS = 512  # llama.cpp's LLAMA_MAX_LAYERS
_LARGEST = 1 << 24  # of a width, a vocabulary or a context: far beyond any model, far below what overflows
_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_SILU = ("silu", "swish")
_BIASES = ("attention_bias", "mlp_bias")
_WINDOW = 4096  # a Mistral's, where config.json does not say


def read(path: Path) -> dict[str, Any]:
    """The config.json at ``path``, which describes a model that every phase can work with.

    Raises:
        BadInput: it is unreadable, or a field has a value that some phase cannot do; the field, its value, and what can
            be done.
    """
    config = json_object.read(path)
    refuse(config, path)
    return config


def refuse(config: dict[str, Any], where: Path) -> None:
    """Raise BadInput for the first field that some phase cannot do."""
    for field, accepted in _faults(config):
        shown = "missing" if field not in config else repr(config[field])[:80]
        raise BadInput(f"{where}: {field} is {shown}; {accepted}")


def family(config: dict[str, Any]) -> Family:
    """The architecture of a config.json that :func:`refuse` let pass."""
    return FAMILIES[config["architectures"][0]]


def head_size(config: dict[str, Any]) -> int:
    """Width of one attention head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def key_value_heads(config: dict[str, Any]) -> int:
    """Heads of keys and values."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def rope(config: dict[str, Any]) -> dict[str, Any]:
    """How positions are scaled, whichever field says so, with ``rope_type``."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return {**found, "rope_type": found.get("rope_type", found.get("type", "default"))}


def rope_theta(config: dict[str, Any]) -> float:
    """Base of the rotary embedding."""
    return float(rope(config).get("rope_theta", config.get("rope_theta", 10000.0)))


def tied(config: dict[str, Any]) -> bool:
    """Whether the output head is the embedding."""
    return bool(config.get("tie_word_embeddings", False))


def refuse_group(config: dict[str, Any], group: int) -> None:
    """Raise BadInput where weights in groups of ``group`` (``compression.awq.group``) do not fill the rows of a
    matrix."""
    queries = head_size(config) * config["num_attention_heads"]
    widths = {
        "hidden_size": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "the attention heads": queries,
    }
    for name, width in widths.items():
        if width % group:
            most = math.gcd(*widths.values())
            raise BadInput(
                f"awq.group {group} does not divide {name}, {width}, of this student; choose a divisor of {most}, or "
                "awq: null"
            )


def tensor_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every weight that a model of this configuration has, by its Hugging Face name."""
    kind = family(config)
    hidden, wide, size = config["hidden_size"], config["intermediate_size"], head_size(config)
    queries, keys = size * config["num_attention_heads"], size * key_value_heads(config)
    attention = {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
    }
    feed_forward = {"gate_proj": (wide, hidden), "up_proj": (wide, hidden), "down_proj": (hidden, wide)}
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config["num_hidden_layers"]):
        for group, parts, bias in (("self_attn", attention, "attention_bias"), ("mlp", feed_forward, "mlp_bias")):
            for part, shape in parts.items():
                found[f"model.layers.{layer}.{group}.{part}.weight"] = shape
                if part in kind.biases or (bias in kind.options and config.get(bias)):
                    found[f"model.layers.{layer}.{group}.{part}.bias"] = shape[:1]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{norm}.weight"] = (hidden,)
        for norm in ("q_norm", "k_norm") if kind.head_norms else ():
            found[f"model.layers.{layer}.self_attn.{norm}.weight"] = (size,)
    if not tied(config):
        found["lm_head.weight"] = (config["vocab_size"], hidden)
    return found


def _faults(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, what is accepted) of everything that some phase cannot do, the field that explains most first."""
    if config.get("auto_map"):
        yield "auto_map", "code that comes with a model is never run; take a model that transformers knows by itself"
    names = config.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str) or names[0] not in FAMILIES:
        yield "architectures", f"the student has to be one of {', '.join(FAMILIES)}"
    kind = family(config)
    if config.get("model_type") != kind.model_type:
        yield "model_type", f"a {config['architectures'][0]} is a {kind.model_type}"
    if config.get("quantization_config"):
        yield (
            "quantization_config",
            "weights have to be stored whole (float32, bfloat16 or float16); take the model before it was quantised",
        )
    yield from ((field, f"a whole number from 1 to {_LARGEST}") for field in _COUNTS if not _count(config.get(field)))
    for field in kind.stated:
        if config.get(field) is None:
            yield field, f"a {kind.model_type} has to say it; transformers would take a number of its own"
    for field in ("num_key_value_heads", "head_dim"):
        if config.get(field) is not None and not _count(config[field]):
            yield field, f"a whole number from 1 to {_LARGEST}, or left out"
    if config["num_hidden_layers"] > LAYERS:
        yield "num_hidden_layers", f"llama.cpp reads at most {LAYERS}"
    yield from _heads(config)
    if config.get("hidden_act", "silu") not in _SILU:
        yield "hidden_act", "llama.cpp has silu there; another activation would give other answers without a word"
    for field in ("tie_word_embeddings", *kind.options):
        if not isinstance(config.get(field, False), bool):
            yield field, "true, false, or left out"
    for field in _BIASES:
        fixed = field == "attention_bias" and bool(kind.biases)
        if field not in kind.options and config.get(field, fixed) is not fixed:
            yield field, f"a {kind.model_type} has {str(fixed).lower()} there, or leaves it out"
    if not _number(config.get("rms_norm_eps"), 0, 1):
        yield "rms_norm_eps", "a number above 0 and below 1, such as 1e-05"
    if config.get("is_causal", True) is not True:
        yield "is_causal", "llama.cpp looks back only: true, or left out"
    if config.get("partial_rotary_factor", 1.0) != 1.0:
        yield "partial_rotary_factor", "positions turn whole heads: 1, or left out"
    yield from _windows(config, kind)
    if "rope_theta" in config and not _number(config["rope_theta"], 0, math.inf):
        yield "rope_theta", "a number above 0"
    for field in ("rope_parameters", "rope_scaling"):
        if config.get(field) is not None:
            yield from _rope(field, config[field], kind)
    if (
        config.get("rope_parameters")
        and config.get("rope_scaling")
        and config["rope_parameters"] != config["rope_scaling"]
    ):
        yield "rope_scaling", "beside rope_parameters it has to say the same, or be left out"
    yield from _tokens(config)


def _heads(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    if config.get("head_dim") is None and hidden % heads:
        yield "num_attention_heads", f"heads divide hidden_size ({hidden}), or head_dim says how wide one is"
    if heads % key_value_heads(config):
        yield "num_key_value_heads", f"it divides num_attention_heads ({heads})"
    if head_size(config) % 2:
        yield (
            "head_dim" if config.get("head_dim") is not None else "num_attention_heads",
            f"a head is {head_size(config)} wide, rotary positions need an even width",
        )


def _windows(config: dict[str, Any], kind: Family) -> Iterator[tuple[str, str]]:
    """Every layer attends to all that is before, as llama.cpp lets these architectures do."""
    context = config["max_position_embeddings"]
    types = config.get("layer_types")
    if types is not None and types != ["full_attention"] * config["num_hidden_layers"]:
        yield "layer_types", f"every layer of a {kind.model_type} attends to all that is before: left out"
    if config.get("use_sliding_window", False) is not False:
        yield "use_sliding_window", "false, or left out: llama.cpp has no sliding window there"
    if kind.model_type == "mistral":
        window = config.get("sliding_window", _WINDOW)
        if window is not None and not (_count(window) and window >= context):
            yield (
                "sliding_window",
                f"null, or at least max_position_embeddings ({context}): llama.cpp has no sliding window there "
                f"({_WINDOW} where it is not said); lower max_position_embeddings to it",
            )


def _rope(field: str, found: Any, family: Family) -> Iterator[tuple[str, str]]:
    """transformers 5 writes rope_parameters, earlier ones rope_scaling."""
    if not isinstance(found, dict):
        yield field, "an object with rope_type, or left out"
        return
    kind = found.get("rope_type", found.get("type", "default"))
    types = ("default", "llama3") if family.gguf == "llama" else ("default",)  # llama.cpp's others read no rope_freqs
    if kind not in types or found.get("type", kind) != kind:
        yield field, f"the rope types of a {family.model_type} that can be exported are {' and '.join(types)}"
    if "rope_theta" in found and not _number(found["rope_theta"], 0, math.inf):
        yield field, "its rope_theta is a number above 0"
    if found.get("partial_rotary_factor", 1.0) != 1.0:
        yield field, "positions turn whole heads: partial_rotary_factor 1, or left out"
    if kind == "llama3":
        if not all(_number(found.get(name), 0, math.inf) for name in _LLAMA3):
            yield field, f"llama3 has {', '.join(_LLAMA3)}, each a number above 0"
        elif found["factor"] < 1 or found["low_freq_factor"] >= found["high_freq_factor"]:
            yield field, "llama3 has a factor of at least 1, and a low_freq_factor below its high_freq_factor"


def _tokens(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    size = config["vocab_size"]
    for field in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = config.get(field)
        ids = value if isinstance(value, list) and field == "eos_token_id" else [value]
        if not all(one is None or (type(one) is int and -size <= one < size) for one in ids):
            yield field, f"a token below vocab_size ({size}), or null"


def _count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST


def _number(value: Any, above: float, below: float) -> bool:
    return type(value) in (int, float) and above < value < below

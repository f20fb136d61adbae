"""Which tensor gets which GGML type: llama.cpp's named mixtures for dense Llama models.

After ``llama_tensor_get_type`` in llama.cpp's ``llama-quant.cpp``: a mixture spends more bits where errors hurt most
(values, down-projection, output head). Not here: the arithmetic (quantiser.py).
"""

from typing import Literal, get_args

from gguf import GGMLQuantizationType as Kind
from gguf.constants import GGML_QUANT_SIZES, LlamaFileType

from configs.errors import BadInput

Quantisation = Literal["F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q3_K_S"]
QUANTISATIONS: tuple[str, ...] = get_args(Quantisation)
# The type of every matrix that has no rule of its own, and the number llama.cpp knows the mixture by.
_BASE: dict[str, tuple[Kind, LlamaFileType]] = {
    "F32": (Kind.F32, LlamaFileType.ALL_F32),
    "F16": (Kind.F16, LlamaFileType.MOSTLY_F16),
    "Q8_0": (Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "Q6_K": (Kind.Q6_K, LlamaFileType.MOSTLY_Q6_K),
    "Q5_K_M": (Kind.Q5_K, LlamaFileType.MOSTLY_Q5_K_M),
    "Q4_K_M": (Kind.Q4_K, LlamaFileType.MOSTLY_Q4_K_M),
    "Q4_0": (Kind.Q4_0, LlamaFileType.MOSTLY_Q4_0),
    "Q3_K_M": (Kind.Q3_K, LlamaFileType.MOSTLY_Q3_K_M),
    "Q3_K_S": (Kind.Q3_K, LlamaFileType.MOSTLY_Q3_K_S),
}
# What llama.cpp takes instead when a row is not whole blocks of 256.
_NARROW = {Kind.Q3_K: Kind.IQ4_NL, Kind.Q4_K: Kind.Q5_0, Kind.Q5_K: Kind.Q5_1, Kind.Q6_K: Kind.Q8_0}
# Types in which a weight of exactly zero stays exactly zero; Q4_K and Q5_K blocks have an offset and lose it.
KEEPS_ZEROS = frozenset({"F32", "F16", "Q8_0", "Q6_K", "Q4_0", "Q3_K_S"})


def file_type(quantisation: str) -> LlamaFileType:
    """llama.cpp's number for the mixture.

    Raises:
        BadInput: no mixture of that name.
    """
    if quantisation not in _BASE:
        raise BadInput(f"unknown quantisation {quantisation!r}; there are: {', '.join(QUANTISATIONS)}")
    return _BASE[quantisation][1]


def tensor_type(
    quantisation: str, name: str, shape: tuple[int, ...], *, n_layers: int, tied: bool, weighed: bool
) -> Kind:
    """The type of tensor ``name`` (GGUF name) of ``shape`` in the mixture: the intended one, or what llama.cpp falls
    back to where rows of that width are not whole blocks."""
    return _fitting(intended_type(quantisation, name, shape, n_layers=n_layers, tied=tied, weighed=weighed), shape[-1])


def intended_type(
    quantisation: str, name: str, shape: tuple[int, ...], *, n_layers: int, tied: bool, weighed: bool
) -> Kind:
    """The type of a tensor in the mixture, whatever its width.

    ``tied``: the file has no output.weight, the embedding is the head. ``weighed``: an importance matrix is used.
    Vectors are always F32.
    """
    file_type(quantisation)
    base = _BASE[quantisation][0]
    if len(shape) == 1:
        return Kind.F32
    if base in (Kind.F32, Kind.F16):
        return base
    return _rule(quantisation=quantisation, base=base, name=name, n_layers=n_layers, tied=tied, weighed=weighed)


def _rule(quantisation: str, base: Kind, name: str, n_layers: int, tied: bool, weighed: bool) -> Kind:
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return base if base is Kind.Q8_0 else Kind.Q6_K
    if not name.startswith("blk."):
        return base
    layer, part = int(name.split(".")[1]), name.split(".")[2]
    more = layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2
    if quantisation in ("Q4_K_M", "Q5_K_M") and part in ("attn_v", "ffn_down") and more:
        return Kind.Q6_K
    if quantisation == "Q3_K_M":
        if part == "attn_v":
            return Kind.Q5_K if layer < 2 else Kind.Q4_K
        if part == "ffn_down":
            return Kind.Q5_K if layer < n_layers // 16 else Kind.Q4_K
        if part == "attn_output":
            return Kind.Q4_K
    if quantisation == "Q4_0" and weighed and part == "ffn_down" and layer < n_layers // 8:
        return Kind.Q4_1
    return base


def _fitting(kind: Kind, width: int) -> Kind:
    """``kind`` or what llama.cpp falls back to for rows of ``width``."""
    if width % GGML_QUANT_SIZES[kind][0] == 0:
        return kind
    narrow = _NARROW.get(kind, Kind.F16)
    return narrow if width % GGML_QUANT_SIZES[narrow][0] == 0 else Kind.F16

"""llama.cpp's own quantiser: float rows in, GGML blocks out, bit for bit what llama.cpp would write.

``ggml_quantize_chunk`` lives in xllamacpp's shared object and releases the GIL, so rows go over threads.
Not here: which tensor gets which type (mixtures.py), dequantisation (the gguf wheel has it).
"""

import ctypes
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from blocks.cores import cores
from configs.errors import BadInput, CogumiError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType

CHUNK_WEIGHTS = 1 << 22  # float32 values per piece of work: 16 MiB


def block_bytes(kind: "GGMLQuantizationType", weights: int) -> int:
    """Bytes that ``weights`` values take in GGML type ``kind``; rows must be whole blocks."""
    from gguf.constants import GGML_QUANT_SIZES

    block, size = GGML_QUANT_SIZES[kind]
    if weights % block:
        raise BadInput(f"{weights} weights are not whole {kind.name} blocks of {block}; choose another quantisation")
    return weights // block * size


def quantise(rows: "np.ndarray", kind: "GGMLQuantizationType", importance: "np.ndarray | None" = None) -> "np.ndarray":
    """Quantise float32 ``rows`` (n, width) to ``kind``; returns uint8 (n, bytes per row).

    ``importance`` (width,) weighs the squared error of each input channel; types that llama.cpp does not weigh ignore
    it. F32 and F16 are plain conversions.

    Raises:
        BadInput: a row is not whole blocks, or holds NaN or infinity.
    """
    import numpy as np

    n, width = rows.shape
    out = np.empty((n, block_bytes(kind, width)), dtype=np.uint8)
    per_chunk = max(1, CHUNK_WEIGHTS // width)
    weight = None if importance is None else np.ascontiguousarray(importance, dtype=np.float32)

    def one(start: int) -> None:
        piece = np.ascontiguousarray(rows[start : start + per_chunk], dtype=np.float32)
        if not np.isfinite(piece).all():
            raise BadInput("the weights hold NaN or infinity; the model is broken, train or prune it again")
        _chunk(piece, kind, out[start : start + per_chunk], weight)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(one, range(0, n, per_chunk)))
    return out


def _chunk(piece: "np.ndarray", kind: "GGMLQuantizationType", out: "np.ndarray", weight: "np.ndarray | None") -> None:
    import numpy as np

    if kind.name in ("F32", "F16"):
        with np.errstate(over="raise"):
            try:
                out[:] = piece.astype(np.float16 if kind.name == "F16" else np.float32).view(np.uint8)
            except FloatingPointError:
                raise BadInput("a weight is too large for F16; choose F32 or a quantised type") from None
        return
    n, width = piece.shape
    pointer = None if weight is None else weight.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    written = _library().ggml_quantize_chunk(
        int(kind),
        piece.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
        out.ctypes.data_as(ctypes.c_void_p),
        0,
        n,
        width,
        pointer,
    )
    if written != out.nbytes:
        raise CogumiError(
            f"llama.cpp wrote {written} bytes of {kind.name} where {out.nbytes} were expected; the installed xllamacpp "
            "does not fit"
        )


@functools.cache
def _library() -> ctypes.CDLL:
    import xllamacpp.xllamacpp as binding

    library = ctypes.CDLL(binding.__file__)
    try:
        call = library.ggml_quantize_chunk
    except AttributeError:
        raise CogumiError(
            f"{binding.__file__} does not export ggml_quantize_chunk; install xllamacpp>=2026.10"
        ) from None
    floats = ctypes.POINTER(ctypes.c_float)
    call.argtypes = [ctypes.c_int, floats, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, floats]
    call.restype = ctypes.c_size_t
    return library

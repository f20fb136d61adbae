"""llama.cpp's C functions inside the installed ``xllamacpp``, by ctypes: vocabulary, model, context, decode.

The two parameter structs change between versions, so they are treated as opaque: taken from llama.cpp's own defaults,
and changed only in fields whose place is recognised by its default value or checked after loading. Not here: the
server.
"""

import ctypes
import functools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from blocks.models import chat_frame, vocabulary
from blocks.models.template import Template
from configs.errors import BadInput, CogumiError
from configs.phases.evaluation import CacheType

MAGIC = b"GGUF"
_OPAQUE = 1024  # larger than any version's parameter struct; the callee reads only its own part
_VOCAB_ONLY = 72  # byte of llama_model_params; whether it took effect is checked after loading
_GPU_LAYERS, _ALL_LAYERS = 16, -1  # byte of llama_model_params, and its default
_CONTEXT_FIELDS = {
    "n_ctx": (0, 512),
    "n_batch": (4, 2048),
    "n_ubatch": (8, 512),
    "n_seq_max": (12, 1),
    "type_k": (104, 1),
    "type_v": (108, 1),
}  # name: (byte, default)
_CACHE_TYPES: dict[CacheType, int] = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "bf16": 30,
}  # ggml's numbers
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _Params(ctypes.Structure):
    _fields_ = [("raw", ctypes.c_ubyte * _OPAQUE)]


class _Batch(ctypes.Structure):
    """``llama_batch``; with ``pos`` and ``seq_id`` null, llama.cpp counts positions of sequence 0 by itself."""

    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.c_void_p),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.c_void_p),
        ("n_seq_id", ctypes.c_void_p),
        ("seq_id", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
        ("reserved", ctypes.c_ubyte * 64),
    ]


@_LOG
def _silent(level: int, text: bytes, data: int) -> None:
    """llama.cpp's log goes nowhere: what matters is raised."""


@functools.cache
def library() -> Any:
    """The loaded shared object with the signatures that are used here."""
    import xllamacpp.xllamacpp as module

    lib = ctypes.CDLL(module.__file__)
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "llama_model_default_params": (_Params, []),
        "llama_context_default_params": (_Params, []),
        "llama_model_load_from_file": (pointer, [text, _Params]),
        "llama_model_free": (None, [pointer]),
        "llama_model_n_layer": (integer, [pointer]),
        "llama_model_get_vocab": (pointer, [pointer]),
        "llama_vocab_n_tokens": (integer, [pointer]),
        "llama_vocab_get_text": (text, [pointer, integer]),
        "llama_vocab_is_control": (ctypes.c_bool, [pointer, integer]),
        "llama_vocab_is_eog": (ctypes.c_bool, [pointer, integer]),
        "llama_vocab_bos": (integer, [pointer]),
        "llama_vocab_eos": (integer, [pointer]),
        "llama_vocab_pad": (integer, [pointer]),
        "llama_model_meta_val_str": (integer, [pointer, text, ctypes.c_char_p, ctypes.c_size_t]),
        "llama_init_from_model": (pointer, [pointer, _Params]),
        "llama_free": (None, [pointer]),
        "llama_set_n_threads": (None, [pointer, integer, integer]),
        "llama_n_ctx": (ctypes.c_uint32, [pointer]),
        "llama_get_memory": (pointer, [pointer]),
        "llama_memory_clear": (None, [pointer, ctypes.c_bool]),
        "llama_decode": (integer, [pointer, _Batch]),
        "llama_get_logits": (pointer, [pointer]),
        "llama_tokenize": (integer, [pointer, text, integer, pointer, integer, ctypes.c_bool, ctypes.c_bool]),
        "llama_adapter_lora_init": (pointer, [pointer, text]),
        "llama_set_adapters_lora": (integer, [pointer, pointer, ctypes.c_size_t, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.llama_log_set(_silent, None)
    return lib


def check(path: Path) -> Path:
    """The path, if a GGUF file lies there.

    Raises:
        BadInput: no file, or not a GGUF file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise BadInput(f"cannot read the GGUF file {path}: {error.strerror}") from None
    if head[:4] != MAGIC or len(head) < 8:
        raise BadInput(f"{path} is not a GGUF file (it does not begin with {MAGIC.decode()}); export the model again")
    return path


class Model:
    """A loaded GGUF file; ``vocabulary_only`` loads no weights, ``gpu_layers`` as in LlamaCpp (server.py). Free it with
    :meth:`close`."""

    def __init__(self, path: Path, *, vocabulary_only: bool, gpu_layers: int = -1) -> None:
        self.lib, self.path = library(), path
        params = self.lib.llama_model_default_params()
        layers = ctypes.c_int32.from_buffer(params.raw, _GPU_LAYERS)
        if layers.value != _ALL_LAYERS:
            raise CogumiError(
                "this xllamacpp lays out llama_model_params otherwise; correct _GPU_LAYERS in "
                "blocks/engines/llama_cpp/native.py"
            )
        layers.value = gpu_layers
        params.raw[_VOCAB_ONLY] = vocabulary_only
        self.pointer = self.lib.llama_model_load_from_file(str(check(path)).encode(), params)
        if not self.pointer:
            raise BadInput(
                f"llama.cpp cannot load {path}: the file is damaged or of an unknown kind; export the model again"
            )
        if bool(self.lib.llama_model_n_layer(self.pointer)) == vocabulary_only:
            raise CogumiError(
                "this xllamacpp lays out llama_model_params otherwise; correct _VOCAB_ONLY in "
                "blocks/engines/llama_cpp/native.py"
            )
        self._vocabulary = self.lib.llama_model_get_vocab(self.pointer)
        self.n_vocab: int = self.lib.llama_vocab_n_tokens(self._vocabulary)

    @functools.cached_property
    def template(self) -> Template:
        """The chat format of the file.

        Raises:
            BadInput: as :meth:`blocks.models.template.Template.of`.
        """
        tokens = [self._text(token) for token in range(self.n_vocab)]
        control = [token for token in range(self.n_vocab) if self.lib.llama_vocab_is_control(self._vocabulary, token)]
        special = {
            f"{role}_token": tokens[token]
            for role in ("bos", "eos", "pad")
            if (token := getattr(self.lib, f"llama_vocab_{role}")(self._vocabulary)) >= 0
        }
        ends = [token for token in range(self.n_vocab) if self.lib.llama_vocab_is_eog(self._vocabulary, token)]
        return chat_frame.derive(
            chat_frame.Source(
                where=self.path,
                jinja=self.field("tokenizer.chat_template"),
                control=frozenset(tokens[token] for token in control),
                special=special,
                stops=tuple(tokens[token] for token in ends),
                reading=vocabulary.reading_of_gguf(self.field, tokens, self.path),
            )
        )

    def field(self, name: str) -> str | None:
        """A text, number or truth value of the file's metadata, as llama.cpp writes it; None where it has none."""
        space = ctypes.create_string_buffer(vocabulary.LARGEST_TEMPLATE)
        size = self.lib.llama_model_meta_val_str(self.pointer, name.encode(), space, len(space))
        return space.value.decode("utf-8", "replace") if size >= 0 else None

    def ids(self, rendered: Sequence[str], *, goes_on: bool = False) -> list[list[int]]:
        """As :meth:`tokenize`, of several."""
        return [self.tokenize(one, goes_on=goes_on) for one in rendered]

    def tokenize(self, rendered: str, *, goes_on: bool = False) -> list[int]:
        """Token ids of a string in the chat format: its control tokens, and all else as ordinary text; none is
        added. ``goes_on``: it is an answer, which goes on where a prompt ended."""
        return self.template.token_ids(
            [rendered],
            lambda token: self._ids(token, special=True)[0],
            lambda texts: [self._ids(self._composed(text), special=False) for text in texts],
            goes_on=goes_on,
        )[0]

    def _composed(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self.template.reading.nfc else text

    def _text(self, token: int) -> str:
        found: bytes = self.lib.llama_vocab_get_text(self._vocabulary, token)
        return found.decode("utf-8", "replace")

    def _ids(self, text: str, *, special: bool) -> list[int]:
        """llama.cpp's token ids of ``text``; ``special`` reads special tokens in it as such."""
        raw = text.encode()
        space = np.empty(len(raw) + 8, np.int32)
        count = self.lib.llama_tokenize(self._vocabulary, raw, len(raw), space.ctypes.data, len(space), False, special)
        if count < 0:
            raise CogumiError(f"llama.cpp cannot tokenise a text of {len(raw)} bytes")
        return [int(token) for token in space[:count]]

    def close(self) -> None:
        """Free the model."""
        if self.pointer:
            self.lib.llama_model_free(self.pointer)
            self.pointer = None


class Context:
    """Keys and values of one sequence of at most ``length`` tokens, in ``cache_types``, under at most one adapter times
    ``scale``."""

    def __init__(
        self,
        model: Model,
        *,
        length: int,
        batch: int,
        threads: int,
        adapter: Path | None = None,
        scale: float = 1.0,
        cache_types: tuple[CacheType, CacheType] = ("f16", "f16"),
    ) -> None:
        self.model, self.lib, self.batch = model, model.lib, min(batch, length)
        params = self.lib.llama_context_default_params()
        for name, value in {
            "n_ctx": length,
            "n_batch": self.batch,
            "n_ubatch": min(512, self.batch),
            "n_seq_max": 1,
            "type_k": _CACHE_TYPES[cache_types[0]],
            "type_v": _CACHE_TYPES[cache_types[1]],
        }.items():
            place, default = _CONTEXT_FIELDS[name]
            field = ctypes.c_uint32.from_buffer(params.raw, place)
            if field.value != default:
                raise CogumiError(
                    f"this xllamacpp lays out llama_context_params otherwise ({name}); correct _CONTEXT_FIELDS in "
                    "blocks/engines/llama_cpp/native.py"
                )
            field.value = value
        self.pointer = self.lib.llama_init_from_model(model.pointer, params)
        if not self.pointer or self.lib.llama_n_ctx(self.pointer) < length:
            raise CogumiError(
                f"llama.cpp made no context of {length} tokens with a {' / '.join(cache_types)} cache; is there enough "
                "memory, and are heads a multiple of 32 wide where it is quantised?"
            )
        self.lib.llama_set_n_threads(self.pointer, threads, threads)
        if adapter is not None:
            handle = ctypes.c_void_p(self.lib.llama_adapter_lora_init(model.pointer, str(check(adapter)).encode()))
            if not handle or self.lib.llama_set_adapters_lora(
                self.pointer, ctypes.byref(handle), 1, ctypes.byref(ctypes.c_float(scale))
            ):
                raise BadInput(
                    f"llama.cpp cannot use the adapter {adapter} with this model; export it again for the model it was "
                    "trained on"
                )

    def logits(self, tokens: Sequence[int], start: int) -> np.ndarray:
        """Logits at positions ``start``… of a new sequence. Shape (len(tokens) - start, vocabulary), float32."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.pointer), True)
        ids = np.asarray(tokens, np.int32)
        wanted = (np.arange(len(ids)) >= start).astype(np.int8)
        rows = []
        for begin in range(0, len(ids), self.batch):
            part, flags = ids[begin : begin + self.batch].copy(), wanted[begin : begin + self.batch].copy()
            code = self.lib.llama_decode(
                self.pointer, _Batch(n_tokens=len(part), token=part.ctypes.data, logits=flags.ctypes.data)
            )
            if code:
                raise CogumiError(
                    f"llama.cpp failed to decode {len(ids)} tokens (code {code}); is the context long enough?"
                )
            if flags.any():
                where = ctypes.cast(self.lib.llama_get_logits(self.pointer), ctypes.POINTER(ctypes.c_float))
                rows.append(np.ctypeslib.as_array(where, (int(flags.sum()), self.model.n_vocab)).copy())
        return np.concatenate(rows) if rows else np.empty((0, self.model.n_vocab), np.float32)

    def close(self) -> None:
        """Free keys and values."""
        if self.pointer:
            self.lib.llama_free(self.pointer)
            self.pointer = None

"""The tokenizer in a GGUF file's metadata as tokenizer.json and tokenizer_config.json, which give the ids that
llama.cpp gives.

Byte-level BPE by its merges, and SentencePiece's by its scores. Not here: the opposite way
(tasks/compression/export/vocabulary.py), and whether the result can be a student's (vocabulary.py).
"""

import json
from pathlib import Path
from typing import Any

from blocks.models import pre_tokenizer
from blocks.models.gguf_file import GgufFile
from blocks.models.sentencepiece import SPACE
from blocks.models.vocabulary import NFC, ONCE
from blocks.models.vocabulary import SPACE as SPACES
from configs.errors import BadInput

_UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 2, 3, 4, 5, 6  # llama.cpp's kinds of tokens; 1 is a normal one
_LLAMA3 = ("llama-bpe", "llama3", "llama-v3")  # llama.cpp's names for one rule


def write(path: Path, file: GgufFile, folder: Path) -> None:
    """Write the tokenizer of ``file``, read from ``path``, into ``folder``.

    Raises:
        BadInput: there is none, of another kind, or its parts do not fit each other.
    """
    fields = {key.removeprefix("tokenizer.ggml."): value for key, value in file.fields.items() if "tokenizer." in key}
    model, tokens, kinds = fields.get("model"), fields.get("tokens"), fields.get("token_type")
    if model is None or not tokens:
        raise BadInput(f"{path}: there is no tokenizer in it (tokenizer.ggml.tokens); take a file with its vocabulary")
    if model not in _MODELS:
        raise BadInput(
            f"{path}: tokenizer.ggml.model is {str(model)[:40]!r}; a student's tokenizer is {' or '.join(_MODELS)}"
        )
    if not _texts(tokens) or len(set(tokens)) < len(tokens) or not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise BadInput(f"{path}: tokenizer.ggml.tokens and token_type are not {len(tokens)} tokens and their kinds")
    ids = {text: number for number, text in enumerate(tokens)}
    begins = fields.get("add_bos_token", model == "llama" or fields.get("pre") in _LLAMA3)
    special = {
        name: tokens[fields[f"{key}_token_id"]]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
        if type(fields.get(f"{key}_token_id")) is int and 0 <= fields[f"{key}_token_id"] < len(tokens)
    }
    added = [
        {"id": ids[text], "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": kind != _USER}
        for text, kind in zip(tokens, kinds, strict=True) if kind in (_CONTROL, _USER, _UNKNOWN)
    ]  # fmt: skip
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **_MODELS[model](path, fields, tokens, kinds),
        "post_processor": _beginning(special.get("bos"), ids) if begins else None,
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": text for name, text in special.items()},
    }
    if isinstance(fields.get("tokenizer.chat_template"), str):
        config["chat_template"] = fields["tokenizer.chat_template"]
    for name, content in (("tokenizer.json", whole), ("tokenizer_config.json", config)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _byte_level(path: Path, fields: dict[str, Any], tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    """Model, splitting and decoding of a byte-level BPE with merges."""
    merges = [merge.split(" ") for merge in fields["merges"]] if _texts(fields.get("merges")) else []
    normal = {text for text, kind in zip(tokens, kinds, strict=True) if kind == 1}
    if not merges or any(len(merge) != 2 or not {*merge, "".join(merge)} <= normal for merge in merges):
        raise BadInput(f"{path}: tokenizer.ggml.merges are missing, or not pairs of its tokens; fetch the file again")
    pre = fields.get("pre")
    splitting = pre_tokenizer.written(pre_tokenizer.LLAMA if pre in _LLAMA3 else pre)
    if splitting is None:
        raise BadInput(
            f"{path}: tokenizer.ggml.pre is {str(pre)[:40]!r}; the splitting rules known here are llama-bpe, qwen2, "
            "smollm and gpt-2"
        )
    composes = fields.get(NFC, pre == pre_tokenizer.QWEN)
    return {
        "normalizer": {"type": "NFC"} if composes else None,
        "pre_tokenizer": splitting,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": _bpe(tokens, kinds, merges, {"ignore_merges": pre in _LLAMA3}),
    }


def _sentencepiece(path: Path, fields: dict[str, Any], tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    """The same of a SentencePiece BPE, whose merges follow from its scores: the likelier token is joined first."""
    scores = fields.get("scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise BadInput(f"{path}: tokenizer.ggml.scores are missing, or not one of each token; fetch the file again")
    normal = {text: number for number, (text, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == 1}
    merges = [
        [text[:at], text[at:]]
        for text in sorted(normal, key=lambda text: -scores[normal[text]])
        for at in range(1, len(text))
        if text[:at] in normal and text[at:] in normal
    ]
    where = fields.get(SPACES, "everywhere" if fields.get("add_space_prefix", True) else "nowhere")
    prefix = where != "nowhere"
    unknown = next((text for text, kind in zip(tokens, kinds, strict=True) if kind == _UNKNOWN), None)
    spaces = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    once = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": {"everywhere": "always", "nowhere": "never"}.get(where, where),
        "split": False,
    }
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    return {
        "normalizer": None
        if fields.get(ONCE)
        else {
            "type": "Sequence",
            "normalizers": [*([{"type": "Prepend", "prepend": SPACE}] if prefix else []), *spaces],
        },
        "pre_tokenizer": once if fields.get(ONCE) else None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *(strip if prefix else []),
            ],
        },
        "model": _bpe(tokens, kinds, merges, {"unk_token": unknown, "fuse_unk": True, "byte_fallback": _BYTE in kinds}),
    }


def _bpe(tokens: list[str], kinds: list[int], merges: list[list[str]], more: dict[str, Any]) -> dict[str, Any]:
    """A BPE model. Added tokens stand in its vocabulary unless they follow it without a gap: the tokenizers library
    counts on from the vocabulary for those that do not, whatever id they name."""
    last = max(number for number, kind in enumerate(kinds) if kind in (1, _BYTE))
    used = [number for number, kind in enumerate(kinds) if kind != _UNUSED]
    inside = range(last + 1) if used == list(range(len(used))) else range(len(tokens))
    vocab = {tokens[number]: number for number in inside if kinds[number] != _UNUSED}
    if "unk_token" in more and more["unk_token"] is not None and more["unk_token"] not in vocab:
        vocab[more["unk_token"]] = tokens.index(more["unk_token"])
    settings = {"dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, **more}  # fmt: skip
    return {"type": "BPE", **settings, "vocab": vocab, "merges": merges}


def _beginning(token: str | None, ids: dict[str, int]) -> dict[str, Any] | None:
    """A post-processor that puts ``token`` before every text."""
    if token is None:
        return None
    first, text, second = (
        {"SpecialToken": {"id": token, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 1}},
    )
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, second],
        "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]}},
    }


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_MODELS = {"gpt2": _byte_level, "llama": _sentencepiece}

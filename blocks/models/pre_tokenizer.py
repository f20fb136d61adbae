"""What a byte-level BPE tokenizer does to a text before BPE, and llama.cpp's name for it.

llama.cpp splits text by a rule that it knows by name, so the tokenizer's own rule has to be one of those: Llama 3's,
Qwen 2's (which also composes characters, NFC), SmolLM's (digits apart, then GPT-2's rule) and GPT-2's. Not here:
SentencePiece (sentencepiece.py), tokens and merges (vocabulary.py).
"""

import json
from pathlib import Path
from typing import Any

from configs.errors import BadInput

_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
LLAMA, QWEN = "llama-bpe", "qwen2"
_SPLITS = {_WORDS + r"\p{N}{1,3}|" + _REST: LLAMA, _WORDS + r"\p{N}|" + _REST: QWEN}


def named(tokenizer: dict[str, Any], path: Path) -> tuple[str, bool]:
    """llama.cpp's name of the splitting rule in tokenizer.json, and whether characters are composed (NFC) before it.

    Raises:
        BadInput: llama.cpp has no name for it.
    """
    pre, normalizer = tokenizer.get("pre_tokenizer") or {}, tokenizer.get("normalizer") or {}
    stages = pre.get("pretokenizers", [pre]) if isinstance(pre, dict) else []
    name = _split(stages) if isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages) else None
    composes = normalizer == {"type": "NFC"} and name == QWEN
    if name is None or (normalizer and not composes):
        raise BadInput(
            f"{path}: llama.cpp has no name for this pre-tokenisation ({json.dumps(pre)[:200]}); use Llama 3's, Qwen "
            "2's, SmolLM's or GPT-2's splitting rule with ByteLevel and no normalizer (Qwen 2's: NFC)"
        )
    return name, composes


def written(name: Any) -> dict[str, Any] | None:
    """The pre_tokenizer of a tokenizer.json that :func:`named` calls ``name``; None for a name that it has not."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if name == "gpt-2":
        return level
    if name == "smollm":
        return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]}
    rule = next((rule for rule, known in _SPLITS.items() if known == name), None)
    if rule is None:
        return None
    split = {"type": "Split", "pattern": {"Regex": rule}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, level | {"use_regex": False}]}


def _split(stages: list[dict[str, Any]]) -> str | None:
    """The name of the rule that these stages are together."""
    if not stages or stages[-1].get("type") != "ByteLevel" or stages[-1].get("add_prefix_space"):
        return None
    by_level = stages[-1].get("use_regex", True)
    match stages[:-1]:
        case []:
            return "gpt-2" if by_level else None
        case [{"type": "Digits", "individual_digits": True}]:
            return "smollm" if by_level else None
        case [{"type": "Split", "pattern": {"Regex": str(rule)}, **how}]:
            whole = how.get("behavior", "Isolated") == "Isolated" and not how.get("invert")
            return _SPLITS.get(rule) if whole and not by_level else None
    return None

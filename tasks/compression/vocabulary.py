"""A Hugging Face byte-level BPE tokenizer as GGUF metadata: tokens, merges, special ids, chat template.

llama.cpp splits text before BPE by a rule it knows by name, so the tokenizer's own rule must be one of those; any other is refused
rather than written wrongly. Not here: SentencePiece vocabularies.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.chat_format import END
from configs.errors import BadInput
from tasks.compression.checkpoint import read_json

if TYPE_CHECKING:
    from gguf import GGUFWriter

_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
# Splitting rule (None: byte-level's own) → llama.cpp's name for it.
_SPLITS = {_WORDS + r"\p{N}{1,3}|" + _REST: "llama-bpe", _WORDS + r"\p{N}|" + _REST: "qwen2", None: "gpt-2"}


def write_vocabulary(writer: "GGUFWriter", folder: Path, size: int) -> None:
    """Add the tokenizer in ``folder`` to a GGUF file; ``size`` rows in the embedding (the rest are marked unused).

    Raises:
        BadInput: not a byte-level BPE, an unknown splitting rule, or more tokens than ``size``.
    """
    from gguf import TokenType

    path = folder / "tokenizer.json"
    tokenizer, config = read_json(path), read_json(folder / "tokenizer_config.json")
    model = tokenizer.get("model", {})
    if model.get("type", "BPE") != "BPE" or "merges" not in model or model.get("byte_fallback"):
        raise BadInput(f"{path}: only byte-level BPE tokenizers can be written to GGUF")
    pre = _split_name(tokenizer, path)
    tokens, kinds = [f"[PAD{i}]" for i in range(size)], [TokenType.UNUSED] * size
    added = {entry["content"]: entry for entry in tokenizer.get("added_tokens", [])}
    ids: dict[str, int] = {**model["vocab"], **{text: entry["id"] for text, entry in added.items()}}
    if max(ids.values()) >= size:
        raise BadInput(f"{path}: token id {max(ids.values())} does not fit an embedding of {size} rows")
    for text, i in ids.items():
        tokens[i] = text
        kinds[i] = TokenType.NORMAL if text not in added else TokenType.CONTROL if added[text]["special"] else TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    for role, add in (("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id), ("pad", writer.add_pad_token_id)):
        token = _text(config.get(f"{role}_token"))
        if token in ids:
            add(ids[token])
    if END in ids:
        writer.add_eot_token_id(ids[END])
    writer.add_add_bos_token(_begins_with(tokenizer, _text(config.get("bos_token"))))
    template = _template(folder, config)
    if template:
        writer.add_chat_template(template)


def _split_name(tokenizer: dict[str, Any], path: Path) -> str:
    """llama.cpp's name of the tokenizer's pre-tokenisation."""
    pre = tokenizer.get("pre_tokenizer") or {}
    stages = pre.get("pretokenizers", [pre])
    rules = [stage["pattern"].get("Regex", stage["pattern"].get("String")) for stage in stages if stage.get("type") == "Split"]
    byte_level = [stage for stage in stages if stage.get("type") == "ByteLevel"]
    plain = len(byte_level) == 1 and not byte_level[0].get("add_prefix_space") and len(stages) == len(rules) + 1 and not tokenizer.get("normalizer")
    rule = rules[0] if len(rules) == 1 and not byte_level[0].get("use_regex", True) else None
    if not plain or len(rules) > 1 or rule not in _SPLITS or (rules and rule is None):
        shown = json.dumps(pre)[:200]
        raise BadInput(f"{path}: llama.cpp has no name for this pre-tokenisation ({shown}); use Llama 3's, Qwen 2's or GPT-2's splitting rule with ByteLevel and no normalizer")
    return _SPLITS[rule]


def _begins_with(tokenizer: dict[str, Any], bos: str | None) -> bool:
    """Whether the tokenizer puts the beginning-of-text token before every text."""
    post = tokenizer.get("post_processor") or {}
    for stage in post.get("processors", [post]):
        single = stage.get("single", [])
        if single and single[0].get("SpecialToken", {}).get("id") == bos:
            return True
    return False


def _text(token: Any) -> str | None:
    """A token of tokenizer_config.json, which is a string or an object with ``content``."""
    return token.get("content") if isinstance(token, dict) else token


def _template(folder: Path, config: dict[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    found = config.get("chat_template")
    return found if isinstance(found, str) else None

"""The byte-level BPE vocabulary in a model's folder, checked to be one that transformers and llama.cpp read alike.

llama.cpp splits text before BPE by a rule it knows by name, so the tokenizer's own rule must be one of those; any other
is refused rather than written wrongly. Not here: SentencePiece vocabularies, and the GGUF fields
(tasks/compression/export/vocabulary.py).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from blocks.models import json_object
from blocks.models.template import Reading
from configs.errors import BadInput

_LARGEST_SIZE = 1 << 24  # of a vocabulary, as in llama_config.py
LARGEST = 128 << 20  # bytes of tokenizer.json; Llama 3's has 9 MB
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
# Splitting rule (None: byte-level's own) → llama.cpp's name for it.
_SPLITS = {_WORDS + r"\p{N}{1,3}|" + _REST: "llama-bpe", _WORDS + r"\p{N}|" + _REST: "qwen2", None: "gpt-2"}
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")

Kind = Literal["normal", "control", "user defined", "unused"]


class Vocabulary(NamedTuple):
    """``tokens`` and ``kinds`` by id, as many as the embedding has rows; ``ids`` the other way round; ``splitting``
    llama.cpp's name of the rule; ``special`` the texts of bos_token, eos_token, … in tokenizer_config.json;
    ``template`` the chat template there."""

    tokens: list[str]
    kinds: list[Kind]
    ids: dict[str, int]
    merges: list[str]
    splitting: str
    special: dict[str, str]
    begins: bool
    template: str | None
    reading: Reading


def read(folder: Path, size: int | None) -> Vocabulary:
    """The vocabulary of the tokenizer in ``folder``, for an embedding of ``size`` rows (those without a token are
    unused; None: as many as there are tokens).

    Raises:
        BadInput: unreadable, not a byte-level BPE, an unknown splitting rule, code of its own, or a token that has no
            row.
    """
    path = folder / "tokenizer.json"
    config = read_config(folder)
    tokenizer = json_object.read(path, LARGEST)
    model = tokenizer.get("model")
    if (
        not isinstance(model, dict)
        or model.get("type", "BPE") != "BPE"
        or "merges" not in model
        or model.get("byte_fallback")
    ):
        raise BadInput(
            f"{path}: model is {str(model and model.get('type') if isinstance(model, dict) else model)[:40]!r}; only "
            "byte-level BPE tokenizers can be written to GGUF"
        )
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise BadInput(
                f"{path}: model.{field} is {str(model[field])[:40]}; llama.cpp has no such thing, leave it out"
            )
    splitting = _split_name(tokenizer, path)
    added = _added(tokenizer.get("added_tokens", []), path)
    ids = {**_ids(model.get("vocab"), path), **{text: number for text, (number, _) in added.items()}}
    if size is None:
        size = min(1 + max(ids.values(), default=0), _LARGEST_SIZE)
    if ids and max(ids.values()) >= size:
        last = max(ids, key=lambda text: ids[text])
        raise BadInput(
            f"{path}: token {last[:60]!r} has id {ids[last]}, which does not fit an embedding of {size} rows "
            "(config.json: vocab_size); give every token a row"
        )
    if not ids or min(ids.values()) < 0 or len(set(ids.values())) < len(ids):
        raise BadInput(
            f"{path}: its tokens have no ids of their own (none, a negative one, or one id twice); save the tokenizer "
            "again"
        )
    tokens: list[str] = [f"[PAD{i}]" for i in range(size)]
    kinds: list[Kind] = ["unused"] * size
    for text, number in ids.items():
        tokens[number] = text
        kinds[number] = "normal" if text not in added else "control" if added[text][1] else "user defined"
    special = {name: text for name in _SPECIAL if (text := _text(config.get(name))) is not None}
    return Vocabulary(
        tokens=tokens,
        kinds=kinds,
        ids=ids,
        merges=_merges(model["merges"], path),
        splitting=splitting,
        special=special,
        begins=_begins_with(tokenizer, special.get("bos_token")),
        template=_template(folder, config),
        reading=Reading(),
    )


def reading_of_gguf(field: Callable[[str], str | None], tokens: list[str]) -> Reading:
    """What the tokenizer of a GGUF file does to texts, by its metadata."""
    return Reading()


def read_config(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, without code of its own.

    Raises:
        BadInput: unreadable, or with auto_map.
    """
    path = folder / "tokenizer_config.json"
    config = json_object.read(path)
    if config.get("auto_map"):
        raise BadInput(
            f"{path}: auto_map is {str(config['auto_map'])[:80]}; code that comes with a model is never run; take a "
            "tokenizer that transformers knows by itself"
        )
    for name in _SPECIAL:
        if config.get(name) is not None and not isinstance(_text(config[name]), str):
            raise BadInput(
                f"{path}: {name} is {str(config[name])[:80]}; it has to be a token's text, or an object with content"
            )
    return config


def _ids(vocab: Any, path: Path) -> dict[str, int]:
    if not isinstance(vocab, dict) or not all(type(number) is int for number in vocab.values()):
        raise BadInput(f"{path}: model.vocab is no object of tokens and their ids; save the tokenizer again")
    return vocab


def _added(entries: Any, path: Path) -> dict[str, tuple[int, bool]]:
    """Text → (id, special) of the added tokens."""
    found = {}
    for entry in entries if isinstance(entries, list) else [None]:
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("content"), str)
            or type(entry.get("id")) is not int
            or not entry["content"]
        ):
            raise BadInput(f"{path}: added_tokens has {str(entry)[:80]}; each has an id and a content")
        if entry.get("lstrip") or entry.get("rstrip") or entry.get("single_word"):
            raise BadInput(
                f"{path}: added token {entry['content'][:60]!r} takes the spaces beside it (lstrip, rstrip or "
                "single_word), which llama.cpp does not; save it without"
            )
        found[entry["content"]] = (entry["id"], bool(entry.get("special")))
    return found


def _merges(merges: Any, path: Path) -> list[str]:
    found = []
    for merge in merges if isinstance(merges, list) else [None]:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise BadInput(f"{path}: model.merges has {str(merge)[:80]}; each is two tokens")
        found.append(" ".join(parts))
    return found


def _split_name(tokenizer: dict[str, Any], path: Path) -> str:
    """llama.cpp's name of the tokenizer's pre-tokenisation."""
    pre = tokenizer.get("pre_tokenizer") or {}
    stages = pre.get("pretokenizers", [pre]) if isinstance(pre, dict) else []
    plain = isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages)
    patterns = [stage.get("pattern") for stage in stages if stage.get("type") == "Split"] if plain else []
    rules = [
        pattern.get("Regex", pattern.get("String")) if isinstance(pattern, dict) else pattern for pattern in patterns
    ]
    byte_level = [stage for stage in stages if stage.get("type") == "ByteLevel"] if plain else []
    plain = (
        len(byte_level) == 1
        and not byte_level[0].get("add_prefix_space")
        and len(stages) == len(rules) + 1
        and not tokenizer.get("normalizer")
    )
    rule = rules[0] if plain and len(rules) == 1 and not byte_level[0].get("use_regex", True) else None
    if (
        not plain
        or len(rules) > 1
        or not isinstance(rule, str | None)
        or rule not in _SPLITS
        or (rules and rule is None)
    ):
        shown = json.dumps(pre)[:200]
        raise BadInput(
            f"{path}: llama.cpp has no name for this pre-tokenisation ({shown}); use Llama 3's, Qwen 2's or GPT-2's "
            "splitting rule with ByteLevel and no normalizer"
        )
    return _SPLITS[rule]


def _begins_with(tokenizer: dict[str, Any], bos: str | None) -> bool:
    """Whether the tokenizer puts the beginning-of-text token before every text."""
    post = tokenizer.get("post_processor") or {}
    stages = post.get("processors", [post]) if isinstance(post, dict) else []
    for stage in stages if isinstance(stages, list) else []:
        single = stage.get("single") if isinstance(stage, dict) else None
        first = single[0] if isinstance(single, list) and single else None
        token = first.get("SpecialToken") if isinstance(first, dict) else None
        if isinstance(token, dict) and token.get("id") == bos:
            return True
    return False


def _text(token: Any) -> Any:
    """A token of tokenizer_config.json, which is a string or an object with ``content``."""
    return token.get("content") if isinstance(token, dict) else token


def _template(folder: Path, config: dict[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    found = config.get("chat_template")
    return found if isinstance(found, str) else None

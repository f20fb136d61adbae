"""The BPE vocabulary in a model's folder, byte-level or SentencePiece, checked to be one that transformers and
llama.cpp read alike; any other is refused rather than written wrongly.

Not here: what is done to texts before BPE (pre_tokenizer.py, sentencepiece.py), the GGUF fields
(tasks/compression/export/vocabulary.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from blocks.models import json_object, pre_tokenizer, sentencepiece
from blocks.models.template import Reading
from configs.errors import BadInput

LARGEST_TEMPLATE = 1 << 20  # bytes of a chat template; Llama 3.1's has 4,000
_LARGEST_SIZE = 1 << 24  # of a vocabulary, as in model_config.py
LARGEST = 128 << 20  # bytes of tokenizer.json; Llama 3's has 9 MB
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")

Kind = Literal["normal", "control", "user defined", "unused", "byte", "unknown"]
# Fields of our own in a GGUF file, for what llama.cpp does not say there.
NFC, SPACE, ONCE = "cogumi.tokenizer.nfc", "cogumi.tokenizer.space", "cogumi.tokenizer.once"


class Vocabulary(NamedTuple):
    """``model``: llama.cpp's name of the kind. ``tokens`` and ``kinds`` by id, as many as the embedding has rows;
    ``ids`` the other way round; ``scores`` by id (SentencePiece); ``splitting`` llama.cpp's name of the rule;
    ``special`` the texts of bos_token, eos_token, … in tokenizer_config.json; ``begins`` whether bos_token is put
    before every text; ``template`` the chat template there; ``reading`` what is done to texts."""

    model: Literal["gpt2", "llama"]
    tokens: list[str]
    kinds: list[Kind]
    ids: dict[str, int]
    merges: list[str]
    scores: list[float] | None
    splitting: str
    special: dict[str, str]
    begins: bool
    template: str | None
    reading: Reading


def read(folder: Path, size: int | None) -> Vocabulary:
    """The vocabulary of the tokenizer in ``folder``, for an embedding of ``size`` rows (those without a token are
    unused; None: as many as there are tokens).

    Raises:
        BadInput: unreadable, no BPE, one that llama.cpp would read otherwise, code of its own, or a token that has no
            row.
    """
    path = folder / "tokenizer.json"
    config = read_config(folder)
    tokenizer = json_object.read(path, LARGEST)
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise BadInput(
            f"{path}: model is {str(model and model.get('type') if isinstance(model, dict) else model)[:40]!r}; only "
            "BPE tokenizers, byte-level BPE and SentencePiece's, can be written to GGUF"
        )
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise BadInput(
                f"{path}: model.{field} is {str(model[field])[:40]}; llama.cpp has no such thing, leave it out"
            )
    pieces = bool(model.get("byte_fallback"))
    splitting, composes = ("default", False) if pieces else pre_tokenizer.named(tokenizer, path)
    if model.get("ignore_merges") and splitting != pre_tokenizer.LLAMA:
        raise BadInput(f"{path}: model.ignore_merges is true, which llama.cpp does for Llama 3's splitting rule alone")
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
    merges = _merges(model["merges"], path)
    scores, reading = None, Reading(nfc=composes)
    if pieces:
        for text in sentencepiece.BYTES:
            if text in ids:
                kinds[ids[text]] = "byte"
        if (unknown := model.get("unk_token")) in ids:
            kinds[ids[unknown]] = "unknown"
        normal = {text for text, number in ids.items() if kinds[number] == "normal"}
        scores, reading = (
            sentencepiece.scores(tokens, normal, merges, path),
            sentencepiece.reading(tokenizer, normal, path),
        )
    special = {name: text for name in _SPECIAL if (text := _text(config.get(name))) is not None}
    return Vocabulary(
        model="llama" if pieces else "gpt2",
        tokens=tokens,
        kinds=kinds,
        ids=ids,
        merges=merges,
        scores=scores,
        splitting=splitting,
        special=special,
        begins=_begins_with(tokenizer, special.get("bos_token")),
        template=_template(folder, config),
        reading=reading,
    )


def reading_of_gguf(field: Callable[[str], str | None], tokens: list[str], path: Path) -> Reading:
    """What the tokenizer of a GGUF file does to texts, by its metadata, of which ``field`` gives a value as text.

    Raises:
        BadInput: as :func:`blocks.models.sentencepiece.lone`.
    """
    if field("tokenizer.ggml.model") != "llama":
        # Every published Qwen tokenizer composes characters, which GGUF does not say.
        composes = field(NFC) or str(field("tokenizer.ggml.pre") == pre_tokenizer.QWEN)
        return Reading(nfc=composes.lower() == "true")
    prefixed = field("tokenizer.ggml.add_space_prefix") != "false"
    return Reading.model_validate(
        {
            "space": field(SPACE) or ("everywhere" if prefixed else "nowhere"),
            "once": field(ONCE) == "true",
            "lone": sentencepiece.lone((one for one in tokens if one not in sentencepiece.BYTES), path),
        }
    )


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
        try:
            with path.open("rb") as stream:
                return stream.read(LARGEST_TEMPLATE).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: not readable as text ({type(error).__name__}); save it as UTF-8") from None
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        named = [one.get("template") for one in found if isinstance(one, dict) and one.get("name") == "default"]
        found = next(iter(named), None)
    return found if isinstance(found, str) else None

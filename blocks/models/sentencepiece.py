"""A SentencePiece BPE vocabulary as transformers keeps it in tokenizer.json (Llama 2, TinyLlama, Mistral), checked to
be one that llama.cpp reads alike.

SentencePiece joins the two neighbours whose union is the best token; tokenizer.json lists pairs by rank instead. The
two agree where every split of a token into two tokens is listed, and all splits of one token stand together. Not here:
byte-level BPE (pre_tokenizer.py).
"""

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from blocks.models.template import Reading
from configs.errors import BadInput

SPACE = "▁"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_LONE = ("\n", "\t", "\r", *(chr(code) for code in range(1, 9)))
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREPEND = {"type": "Prepend", "prepend": SPACE}


def reading(tokenizer: dict[str, Any], tokens: Iterable[str], path: Path) -> Reading:
    """What the tokenizer does to a text before it looks for tokens.

    Raises:
        BadInput: something that llama.cpp does not do.
    """
    normalizer, pre = tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else [normalizer]
    space: Literal["nowhere", "first", "everywhere"] | None = None
    once = False
    if not pre and steps in ([_PREPEND, _REPLACE], [_REPLACE]):
        space = "everywhere" if len(steps) == 2 else "nowhere"
    elif not normalizer and isinstance(pre, dict) and pre.get("type") == "Metaspace":
        scheme = pre.get("prepend_scheme", "always" if pre.get("add_prefix_space", True) else "never")
        if pre.get("replacement") == SPACE and not pre.get("split", True):
            space, once = {"always": "everywhere", "first": "first", "never": "nowhere"}.get(str(scheme)), True  # type: ignore[assignment]
    if space is None:
        raise BadInput(
            f"{path}: llama.cpp cannot read texts as this SentencePiece tokenizer does (normalizer "
            f"{str(normalizer)[:120]}, pre_tokenizer {str(pre)[:120]}); save it with Llama 2's"
        )
    return Reading(space=space, once=once, lone=lone(tokens, path))


def lone(tokens: Iterable[str], path: Path) -> str:
    """A character that is in no token.

    Raises:
        BadInput: there is none among those that are usually none.
    """
    used = set("".join(tokens))
    found = next((one for one in _LONE if one not in used), None)
    if found is None:
        raise BadInput(
            f"{path}: every control character is part of some token, so that an answer cannot be read on from where a "
            "prompt ends; such a SentencePiece tokenizer is not supported"
        )
    return found


def scores(tokens: list[str], normal: Container[str], merges: list[str], path: Path) -> list[float]:
    """llama.cpp's score of every token, higher ones first joined: minus its place in the order of ``merges``, each of
    which is two tokens with a space between. ``normal``: the tokens that may be joined.

    Raises:
        BadInput: a byte has no token, or pairs and scores could not say the same.
    """
    known = set(tokens)
    lacking = [byte for byte in BYTES if byte not in known]
    if lacking:
        raise BadInput(f"{path}: token {lacking[0]} is missing ({len(lacking)} in all); byte fallback needs all 256")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    places, listed = _places(pairs, known, path), set(pairs)
    for token in tokens:
        if token in normal:
            for at in range(1, len(token)):
                left, right = token[:at], token[at:]
                if left in normal and right in normal and (left, right) not in listed:
                    raise BadInput(
                        f"{path}: model.merges lacks the pair {left[:30]!r} {right[:30]!r}, which llama.cpp would join "
                        "to a token; save the tokenizer from its SentencePiece model"
                    )
    return [-float(places.get(token, len(places))) for token in tokens]


def _places(pairs: Sequence[tuple[str, ...]], known: Container[str], path: Path) -> dict[str, int]:
    """Where each token that pairs make comes in their order. Runs of one character (spaces) may share a place: real
    vocabularies have them with one score, and both ways of joining then read them alike."""
    first, last = dict[str, int](), dict[str, int]()
    for rank, pair in enumerate(pairs):
        token = "".join(pair)
        first.setdefault(token, rank)
        last[token] = rank
    found, end, group = dict[str, int](), -1, set[str]()
    for place, token in enumerate(first):
        beside = first[token] < end
        group = group | {*token} if beside else {*token}
        if token not in known or (beside and len(group) > 1):
            raise BadInput(
                f"{path}: the pairs that make token {token[:60]!r} do not stand together in model.merges, or it is no "
                "token; llama.cpp joins by token, so that it would read texts otherwise"
            )
        found[token] = next(reversed(found.values())) if beside else place
        end = max(end, last[token])
    return found

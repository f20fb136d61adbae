"""Counting tokens: with the student's tokenizer, or in whitespace words where none exists yet.

Not here: training a tokenizer (tasks/training).
"""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from blocks.models import json_object, vocabulary
from configs.errors import BadInput
from configs.phases.data import PINNED

_NAME = "name a folder, owner/name@commit of the hub (40 digits), or `words`"
Count = Callable[[Sequence[str]], list[int]]


@lru_cache(maxsize=2)
def counter(tokenizer: str) -> Count:
    """A function from texts to token counts, without special tokens.

    Args:
        tokenizer: ``words``, a folder with a tokenizer.json, or owner/name@commit of the Hugging Face hub.

    Raises:
        BadInput: the tokenizer cannot be loaded, or the name is not pinned to a commit.
    """
    if tokenizer == "words":
        return lambda texts: [len(text.split()) for text in texts]
    from tokenizers import Tokenizer

    path = _file(tokenizer)
    json_object.read(path, vocabulary.LARGEST)
    try:
        loaded = Tokenizer.from_file(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises no narrower class, and its panics are no Exception
        raise BadInput(
            f"data.tokenizer: cannot load {tokenizer!r} ({' '.join(str(error).split())[:120]}); {_NAME}"
        ) from None

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoded) for encoded in loaded.encode_batch(list(texts), add_special_tokens=False)]

    return count


def _file(tokenizer: str) -> Path:
    """The tokenizer.json that ``tokenizer`` names, fetched from the hub where it is not in its local cache."""
    folder, pinned = Path(os.path.expanduser(tokenizer)), PINNED.fullmatch(tokenizer)
    if folder.is_dir():
        return folder / "tokenizer.json"
    if pinned is None:
        raise BadInput(
            f"data.tokenizer: cannot load {tokenizer[:120]!r}: no folder, and no hub name pinned to a commit; {_NAME}"
        )
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(pinned["repository"], "tokenizer.json", revision=pinned["revision"]))
    except (
        Exception
    ) as error:  # a hub that cannot be reached, a name that is not there, no access: the library has a dozen classes
        raise BadInput(
            f"data.tokenizer: cannot load {tokenizer!r} ({' '.join(str(error).split())[:120]}); {_NAME}"
        ) from None

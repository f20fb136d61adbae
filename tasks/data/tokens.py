"""Counting tokens: with the student's tokenizer, or in whitespace words where none exists yet.

Not here: training a tokenizer (tasks/training).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from configs.errors import BadInput

Count = Callable[[Sequence[str]], list[int]]


@lru_cache(maxsize=2)
def counter(tokenizer: str) -> Count:
    """A function from texts to token counts, without special tokens.

    Args:
        tokenizer: ``words``, a folder with a tokenizer.json, or its name on the Hugging Face hub.

    Raises:
        BadInput: the tokenizer cannot be loaded.
    """
    if tokenizer == "words":
        return lambda texts: [len(text.split()) for text in texts]
    from tokenizers import Tokenizer

    folder = Path(tokenizer)
    try:
        loaded = Tokenizer.from_file(str(folder / "tokenizer.json")) if folder.is_dir() else Tokenizer.from_pretrained(tokenizer)
    except Exception as error:  # the library raises no narrower class
        raise BadInput(f"data.tokenizer: cannot load {tokenizer!r} ({' '.join(str(error).split())[:120]}); name a folder, a tokenizer in reach on the hub, or `words`") from None

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoded) for encoded in loaded.encode_batch(list(texts), add_special_tokens=False)]

    return count

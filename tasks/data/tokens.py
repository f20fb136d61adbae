"""Counting tokens: with the student's tokenizer, or in whitespace words where none exists yet.

Not here: training a tokenizer (tasks/training).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from blocks.errors import BadInput

Count = Callable[[Sequence[str]], list[int]]


@lru_cache(maxsize=2)
def counter(tokenizer: str) -> Count:
    """A function from texts to token counts, without special tokens.

    Args:
        tokenizer: ``words``, a folder with a tokenizer, or its name on the Hugging Face hub.

    Raises:
        BadInput: the tokenizer cannot be loaded.
    """
    if tokenizer == "words":
        return lambda texts: [len(text.split()) for text in texts]
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise BadInput(f"data.tokenizer: cannot load {tokenizer!r} ({type(error).__name__}); name a folder, a tokenizer that is in the hub cache, or `words`") from None

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in loaded(list(texts), add_special_tokens=False)["input_ids"]] if texts else []

    return count

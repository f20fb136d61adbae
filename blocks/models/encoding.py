"""Rendered conversations as token ids by a transformers tokenizer: control tokens where a turn begins or ends, all else
as ordinary text.

Not here: the same by llama.cpp (blocks/engines/llama_cpp/native.py), and the chat format (blocks/models/template.py).
"""

from collections.abc import Sequence
from typing import Any

from blocks.models import template


def token_ids(tokenizer: Any, rendered: Sequence[str]) -> list[list[int]]:
    """Token ids of strings in the chat format; none is added. A special token that a text has literally becomes
    ordinary tokens."""

    def ordinary(texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return found

    return template.token_ids(rendered, tokenizer.convert_tokens_to_ids, ordinary)

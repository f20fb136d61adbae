"""What a provider says it counted: read strictly, since the budget rests on it.

A count is an exact whole number, not negative, no truth value, no fraction, no text. What is not so is not believed,
and the call is billed at its worst case. Not here: prices (blocks/journal/budget.py), whether a believable count fits
the request (till.py).
"""

from typing import Any

from blocks.journal.budget import Usage

MOST_TOKENS = 100_000_000
"""Beyond every model's context by far."""


class Unbelievable(ValueError):
    """A count that cannot be meant."""


def count(found: Any) -> int:
    """One count; 0 where there is none.

    Raises:
        Unbelievable: it is no count.
    """
    if found is None:
        return 0
    if type(found) is not int or not 0 <= found <= MOST_TOKENS:
        raise Unbelievable
    return found


def usage_of_chat(found: Any) -> Usage | None:
    """``usage`` of a chat.completions response; None where it says nothing that can be believed.

    Some count hidden reasoning beside ``completion_tokens`` (xAI, Gemini): the larger reading holds.
    """
    if not isinstance(found, dict):
        return None
    try:
        prompt, completion, total = (
            count(found.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        )
        cached = (
            count(_within(found, "prompt_tokens_details", "cached_tokens"))
            or count(found.get("cached_tokens"))
            or count(found.get("prompt_cache_hit_tokens"))
        )
        reasoning = count(_within(found, "completion_tokens_details", "reasoning_tokens"))
    except Unbelievable:
        return None
    if reasoning > completion:
        completion += reasoning
    return believed(
        Usage(prompt=prompt, cached=cached, written=0, completion=max(completion, total - prompt)),
        "prompt_tokens" in found and "completion_tokens" in found,
    )


def usage_of_messages(found: Any) -> Usage | None:
    """``usage`` of Anthropic's messages, which counts tokens read from and written to the cache beside the other prompt
    tokens."""
    if not isinstance(found, dict):
        return None
    try:
        fresh, read, written, completion = (
            count(found.get(name))
            for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
        )
    except Unbelievable:
        return None
    return believed(
        Usage(prompt=fresh + read + written, cached=read, written=written, completion=completion),
        "input_tokens" in found and "output_tokens" in found,
    )


def believed(usage: Usage | None, complete: bool = True) -> Usage | None:
    """The usage if its counts go together: a prompt is at least a token, and what was cached is part of it."""
    if usage is None or not complete:
        return None
    parts = (usage.prompt, usage.cached, usage.written, usage.completion)
    if any(type(part) is not int or not 0 <= part <= 3 * MOST_TOKENS for part in parts):
        return None
    return usage if usage.prompt > 0 and usage.cached + usage.written <= usage.prompt else None


def _within(found: dict[str, Any], name: str, inner: str) -> Any:
    inside = found.get(name)
    if inside is not None and not isinstance(inside, dict):
        raise Unbelievable
    return inside.get(inner) if inside else None

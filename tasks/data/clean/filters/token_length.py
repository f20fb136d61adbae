"""Too short or too long, in tokens. Not here: counting them (tokens.py)."""

from configs.phases.filtering import TokenLength
from tasks.data.clean.filters.text import Text


def token_length(text: Text, settings: TokenLength) -> str | None:
    """Bounds on prompt, response and the whole record."""
    prompt, working, response = text.tokens
    if prompt < settings.shortest_prompt:
        return f"prompt of {prompt} tokens"
    if response < settings.shortest_response:
        return f"response of {response} tokens"
    if prompt + working + response > settings.longest:
        return f"{prompt + working + response} tokens"
    return None

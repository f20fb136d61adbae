"""The texts of an answer that comes in parts, in the forms of all providers: what is said, and what is only thought or
refused.

Not here: the reply around them (chat.py, providers/anthropic.py).
"""

from dataclasses import dataclass, field
from typing import Any

_SAID = {"text", "output_text", "input_text", "refusal_text"}
_THOUGHT = {
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_text",
    "thought",
    "summary_text",
    "analysis",
    "reasoning_content",
}


@dataclass(slots=True)
class Parts:
    """``said`` is the answer; ``thought``: whether there was reasoning beside it; ``refused``: what a refusal says."""

    said: list[str] = field(default_factory=list)
    thought: bool = False
    refused: str = ""

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.said)


def parts_of(content: Any) -> Parts | None:
    """A message's content: a text, nothing, a part, or parts; None where it is none of these."""
    found = Parts()
    if content is None:
        return found
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            found.said.append(part)
        elif isinstance(part, dict):
            _take(part, found)
        elif part is not None:
            return None
    return found


def _take(part: dict[str, Any], found: Parts) -> None:
    kind = part.get("type", "text")
    if kind in _THOUGHT if isinstance(kind, str) else False:
        found.thought = True
    elif kind == "refusal":
        found.refused = found.refused or _text(part.get("refusal")) or "without words"
    elif kind in _SAID if isinstance(kind, str) else False:
        if part.get("thought") is True:  # Gemini marks a text part so
            found.thought = True
        else:
            found.said.append(_text(part.get("text")))


def _text(found: Any) -> str:
    """A part's text, plain or as OpenAI's assistants wrap it."""
    if isinstance(found, dict):
        found = found.get("value")
    return found if isinstance(found, str) else ""

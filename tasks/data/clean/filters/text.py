"""What a filter looks at: the parts of one record, in plain text.

A filter is a function of a text and its settings that returns None, or a few words that say what it found. It knows
nothing of other records, files or counts (table.py and filter.py do).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One record. ``working`` is draft and thinking together, empty where there are none; ``tokens`` counts prompt,
    working and response."""

    prompt: str
    response: str
    working: str = ""
    tokens: tuple[int, int, int] = (0, 0, 0)

    @property
    def answer(self) -> str:
        """Everything the model would learn to say."""
        return f"{self.working}\n{self.response}" if self.working else self.response

    @property
    def everything(self) -> str:
        """The whole record."""
        return f"{self.prompt}\n{self.answer}"

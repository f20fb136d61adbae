"""The rule filters in the order in which they run; the first that objects names the reason.

A new filter is a file here, a line in this table and a settings model in configs/phases/filtering.py under the same
name.
"""

from collections.abc import Callable
from typing import Any

from configs.phases.filtering import Filters
from tasks.data.clean.filters.english import english
from tasks.data.clean.filters.format import format
from tasks.data.clean.filters.licence_text import licence_text
from tasks.data.clean.filters.offensive import offensive
from tasks.data.clean.filters.personal_data import personal_data
from tasks.data.clean.filters.repetition import repetition
from tasks.data.clean.filters.text import Text
from tasks.data.clean.filters.token_length import token_length

Rule = Callable[[Text, Any], str | None]
TABLE: dict[str, Rule] = {
    "format": format,
    "token_length": token_length,
    "repetition": repetition,
    "licence_text": licence_text,
    "personal_data": personal_data,
    "offensive": offensive,
    "english": english,
}


def objection(text: Text, settings: Filters) -> tuple[str, str] | None:
    """Name of the first enabled filter that objects, and what it found; None where the record stays."""
    for name, rule in TABLE.items():
        own = getattr(settings, name)
        if own.enabled and (found := rule(text, own)) is not None:
            return name, found
    return None

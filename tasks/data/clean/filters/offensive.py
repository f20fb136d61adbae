"""Offensive language by word list: a slur rejects, profanity rejects from a limit on.

Not here: harm that no single word shows. The words are whole words; reclaimed and technical senses ("a female dog",
"master/slave", "retarded growth") are left out of the list on purpose where the other sense is common in instruction
data.
"""

import re

from configs.phases.filtering import Offensive
from tasks.data.clean.filters.text import Text

_SLURS = (
    "nigg(?:er|a)s?",
    "fag(?:got)?s?",
    "kikes?",
    "spics?",
    "chinks?",
    "gooks?",
    "wetbacks?",
    "trann(?:y|ies)",
    "dykes?",
    "coons?",
    "ragheads?",
    "retards?",
    "towelheads?",
)
_NEED_CONTEXT = {
    "coon",
    "coons",
    "dyke",
    "dykes",
    "chink",
    "chinks",
    "fag",
    "fags",
    "spic",
    "spics",
    "retard",
    "retards",
}
_PROFANE = (
    "(?:mother)?fuck(?:s|er|ers|ed|ing|in)?",
    "(?:bull)?shit(?:s|ty|ting|head|heads)?",
    "assholes?",
    "bitch(?:es|ing|y)?",
    "cunts?",
    "dickheads?",
    "wank(?:er|ers|ing)?",
    "twats?",
    "cocksuckers?",
    "sluts?",
    "whores?",
    "pussy",
    "blow ?jobs?",
)
_SLUR = re.compile(rf"\b(?:{'|'.join(_SLURS)})\b", re.IGNORECASE)
_PROFANITY = re.compile(rf"\b(?:{'|'.join(_PROFANE)})\b", re.IGNORECASE)
_ABOUT_PEOPLE = re.compile(
    r"\b(?:you|your|those|these|all|dirty|stupid|fucking|damn|bloody|filthy|hate|kill)\s+(?:\w+\s+)?$", re.IGNORECASE
)
_HINTS = (
    *(
        "nigg",
        "fag",
        "kike",
        "spic",
        "chink",
        "gook",
        "wetback",
        "trann",
        "dyke",
        "coon",
        "raghead",
        "retard",
        "towelhead",
        "fuck",
        "shit",
        "asshole",
    ),
    *("bitch", "cunt", "dickhead", "wank", "twat", "cocksuck", "slut", "whore", "pussy", "blow"),
)


def offensive(text: Text, settings: Offensive) -> str | None:
    """Slurs and profanity anywhere in the record. What was found is not repeated in the reason."""
    whole = text.everything
    lower = whole.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    for found in _SLUR.finditer(whole):
        # Raccoons, sea walls and gaps in armour: such a word counts only where it is thrown at somebody.
        if found[0].lower() not in _NEED_CONTEXT or _ABOUT_PEOPLE.search(
            whole, max(0, found.start() - 40), found.start()
        ):
            return "slur"
    profane = sum(1 for _ in _PROFANITY.finditer(whole))
    return f"{profane} profane words" if profane >= settings.profanity else None

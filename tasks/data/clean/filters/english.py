"""Another language than English, where it is certain.

Two rules, both only for prose with enough letters to tell: letters mostly of another script (Chinese, Cyrillic, …), or
an identifier that is sure of another language. What is too short, too much code, or doubtful passes: a wrong rejection
costs a good example, and the share of English over all is measured afterwards (verify.py). The choice of identifier is
in tests/benchmarks/LOG.md.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

from configs.phases.filtering import English
from tasks.data.clean.filters.text import Text

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]{1,200}\$|\\\[.*?\\\]|https?://\S+", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
JUDGED_CHARACTERS = 2000  # the beginning tells as much as the whole
CODE_SHARE = 0.06  # code punctuation among the characters from which a text is code rather than prose
# Languages that people write prompts in. Latin and the pidgins are left out: species, elements and short recipes look
# like them.
LANGUAGES = (
    "af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lo "
    "lt lv mk ml mn mr ms my nb ne nl no pa pl ps"
    " pt ro ru si sk sl so sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
# Frequent words that are English only; a text full of them needs no identifier, which takes twenty times as long.
ENGLISH_WORDS = frozenset(
    {
        "the",
        "and",
        "that",
        "this",
        "with",
        "which",
        "you",
        "what",
        "how",
        "were",
        "from",
        "have",
        "has",
        "would",
        "should",
        "could",
        "they",
        "their",
        "these",
        "those",
    }
    | {
        "there",
        "when",
        "where",
        "who",
        "why",
        "because",
        "been",
        "into",
        "about",
        "than",
        "then",
        "between",
        "each",
        "other",
        "only",
        "through",
        "during",
    }
)
ENGLISH_SHARE = 0.15


def english(text: Text, settings: English) -> str | None:
    """Prompt and response are judged each on its own, so that a translation task is noticed."""
    for name, part in (("prompt", text.prompt), ("response", text.response)):
        found = language(part, settings.letters)
        if found and found[0] != "en" and found[1] >= settings.probability:
            return f"{name} is {found[0]} ({found[1]:.2f})"
    return None


def language(text: str, letters: int) -> tuple[str, float] | None:
    """Language (ISO 639-1, or a script's name) and probability; None where the text has fewer than ``letters`` letters
    outside code."""
    if looks_like_code(text):
        return None
    words = prose(text)
    latin, other = _letters(words)
    # A Chinese or Japanese character carries about as much as three Latin letters.
    if latin + 3 * other < letters:
        return None
    if other > latin:
        return _script(words), 1.0
    lower = words.lower().split()
    if sum(map(ENGLISH_WORDS.__contains__, lower)) >= ENGLISH_SHARE * len(lower):
        return "en", 1.0
    label, probability = _identifier().classify(words)
    return str(label), float(probability)


def prose(text: str) -> str:
    """The words of the text's beginning, without code, formulas, links, numbers and punctuation."""
    return " ".join(_WORD.findall(_CODE.sub(" ", text[:JUDGED_CHARACTERS])))


def looks_like_code(text: str) -> bool:
    """Whether a text without fences is a program or a table all the same: its names are words of no language."""
    beginning = _CODE.sub(" ", text[:JUDGED_CHARACTERS])
    visible = len(beginning) - sum(map(str.isspace, beginning))
    return visible > 0 and sum(map(beginning.count, "{}[]();=<>_|\\")) / visible > CODE_SHARE


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([label for label in identifier.labels if label in LANGUAGES.split()])
    return identifier


def _letters(text: str) -> tuple[int, int]:
    """Letters of the Latin script, and of any other. Greek counts as Latin: it is mathematics more often than Greek."""
    ascii_letters = sum(map(str.isalpha, text)) if text.isascii() else -1
    if ascii_letters >= 0:
        return ascii_letters, 0
    latin = sum(char < "\u0400" for char in text if char.isalpha())
    return latin, sum(char.isalpha() for char in text) - latin


def _script(text: str) -> str:
    """The script of the first letter beyond Latin and Greek, as Unicode names it."""
    first = next(char for char in text if char.isalpha() and char >= "\u0400")
    return unicodedata.name(first, "unknown script").split()[0].lower()

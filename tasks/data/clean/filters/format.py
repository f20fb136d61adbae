"""Broken answers: empty parts, open code fences, markers and special tokens left over, damaged characters, refusals."""

import re

from blocks.models.template import FOREIGN
from configs.phases.filtering import Format
from tasks.data.clean.filters.text import Text

_MARKER = re.compile(r"^\s*\[(?:DRAFT|CRITIQUE|THINKING|REVISED)\]\s*$|</?(?:draft|thinking)>", re.MULTILINE)
_DAMAGED = re.compile("[\ufffd\x00-\x08\x0b\x0e-\x1f]|â€™|â€œ|Ã©|Ã¨")
_CANNOT = r"i (?:can(?:'t|not| not)|am (?:not able|unable) to|don't have (?:the ability|access))"
_REFUSAL = re.compile(
    r"^\W*(?:i(?:'m| am) sorry,? (?:but )?|unfortunately,? |as an ai(?: language)? model,? |i apologi[sz]e,? (?:but "
    r")?)*"
    rf"(?:as an ai(?: language)? model|{_CANNOT} (?:\w+ "
    rf"){{0,3}}(?:answer|help|assist|provide|complete|access|fulfil|do))",
    re.IGNORECASE,
)
_NOTHING = {"n/a", "none", "null", "nan", "no output", "noinput", "<noinput>", "todo", "tbd", "..."}


def format(text: Text, settings: Format) -> str | None:
    """The first fault of the record's form."""
    if not text.prompt.strip():
        return "empty prompt"
    response = text.response.strip()
    if not response or not any(char.isalnum() or char in "+-*/=<>!?" or ord(char) > 127 for char in response):
        return "empty response"
    if response.lower().rstrip(".") in _NOTHING - {"none", "null", "nan"} or (response.lower() == "<noinput>"):
        return "placeholder instead of a response"
    if _DAMAGED.search(text.everything):
        return "damaged characters"
    if FOREIGN.search(text.everything):
        return "special tokens in the text"
    if _MARKER.search(response):
        return "section marker in the response"
    if response.count("```") % 2:
        return "open code fence"
    if settings.refusals and _REFUSAL.search(response[:200]) and len(response) < 600:
        return "refusal"
    return None

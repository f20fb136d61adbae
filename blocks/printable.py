"""Text for a terminal or a log, without what would command it: escape sequences, carriage returns, backspaces, text
turned around.

A person's arguments, a file's name, a model's answer, a server's error: all of it is text of others. Not here: where it
is printed (deployments/terminal/console.py, log_lines.py).
"""

import re
import unicodedata

LONGEST = 1500  # characters of a message
_JOINERS = "\u200c\u200d"  # within words of Persian or Hindi, and within emoji
_DOUBTFUL = re.compile(r"[^\x20-\x7e]")


def plain(text: str) -> str:
    """``text`` in its own lines, without control characters: what they would have done does not happen, and nothing
    stands for them."""
    return _DOUBTFUL.sub(lambda found: found[0] if found[0] in "\n\t" or _harmless(found[0]) else "", text)


def one_line(text: str) -> str:
    """``text`` as one line of bounded length: line breaks are spaces, control characters are shown as their escapes."""
    if len(text) > LONGEST:
        left = len(text) - LONGEST
        text = f"{text[: LONGEST * 2 // 3]} … ({left:,} characters left out) … {text[-LONGEST // 3 :]}"
    return _DOUBTFUL.sub(
        lambda found: found[0] if _harmless(found[0]) else _escaped(found[0]), " ".join(text.splitlines())
    )


def harmless_json(text: str) -> str:
    """The same JSON, in which no control character stands as itself."""
    return _DOUBTFUL.sub(
        lambda found: found[0] if found[0] in "\n\t" or _harmless(found[0]) else f"\\u{ord(found[0]):04x}", text
    )


def _harmless(character: str) -> bool:
    """Whether it is written, and only that. Beyond U+FFFF there are no controls but tags and notes, which JSON has no
    short escape for."""
    return (
        character in _JOINERS
        or ord(character) > 0xFFFF
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )


def _escaped(character: str) -> str:
    return (
        " "
        if character == "\t"
        else f"\\x{ord(character):02x}"
        if ord(character) < 0x100
        else f"\\u{ord(character):04x}"
    )

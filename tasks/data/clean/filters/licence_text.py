"""Copyright notices and licence texts: material that somebody else reserves, or boilerplate that came along with code.

Talking *about* copyright or a licence is no reason: only a notice with a year or a holder, or a sentence of a licence
itself, is, and neither where it is quoted. ``(c)`` alone is the third of a list more often than a notice.
"""

import re

from configs.phases.filtering import LicenceText
from tasks.data.clean.filters.text import Text

_YEARS = r"(?:19|20)\d\d(?:\s*[-–,]\s*(?:19|20)\d\d)*"
_NOTICE = re.compile(
    rf"(?:©|&copy;|\bcopyright)\s*(?:©|\(c\)|&copy;|by)?\s*{_YEARS}\b"
    r"|(?:©|\bcopyright \(c\)|\bcopyright ©)\s*[A-Z]"
    r"|\ball rights reserved\b"
    r"|\bmay not be (?:reproduced|copied|redistributed)[^.]{0,80}without (?:the )?(?:prior |express )?(?:written "
    r")?(?:permission|consent)"
    r"|\bunauthori[sz]ed (?:copying|reproduction|distribution)[^.]{0,60}prohibited",
    re.IGNORECASE,
)
_BARE = re.compile(rf"(?<![\w(])\((?:c|C)\)\s*{_YEARS},?\s+(?:by\s+)?[A-Z]\w")
_LISTED = re.compile(r"\([abd]\)|(?<!\w)[abd]\)", re.IGNORECASE)
_LICENCE = re.compile(
    r"\bpermission is hereby granted, free of charge"
    r"|\blicensed under the apache license"
    r"|\bunder the terms of the gnu (?:lesser |affero )?general public license"
    r"|\bredistribution and use in source and binary forms"
    r"|\bthe software is provided [\"“']?as is"
    r"|\bspdx-license-identifier:\s*\(?(?:[a-z]+[-.\d][\w.+-]*|mit|isc|unlicense|zlib|0bsd|wtfpl)\b",
    re.IGNORECASE,
)
_HINTS = (
    "copyright",
    "©",
    "(c)",
    "&copy;",
    "reserved",
    "licen",
    "permission",
    "reproduced",
    "unauthori",
    "redistribution",
    "provided",
    "spdx",
)
_QUOTED = re.compile(r"(?<!['\"])['\"“‘«`]$")  # three of them open a text of a program, which may be a header


def licence_text(text: Text, settings: LicenceText) -> str | None:
    """A notice or a licence anywhere in the record."""
    whole = text.everything
    lower = whole.lower()
    if not any(hint in lower for hint in _HINTS):  # a tenth of the time of the patterns
        return None
    if _is_no_quotation(_LICENCE, whole):
        return "licence text"
    if _is_no_quotation(_NOTICE, whole) or (_is_no_quotation(_BARE, whole) and not _LISTED.search(whole)):
        return "copyright notice"
    return None


def _is_no_quotation(pattern: re.Pattern[str], whole: str) -> bool:
    """Whether it stands there as itself, not as a quotation of somebody who talks about it."""
    return any(not _QUOTED.search(whole, max(0, found.start() - 2), found.start()) for found in pattern.finditer(whole))

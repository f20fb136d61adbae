"""Copyright notices and licence texts: material that somebody else reserves, or boilerplate that came along with code.

Talking *about* copyright or a licence is no reason: only a notice with a year or a holder, or a sentence of a licence itself, is.
"""

import re

from configs.phases.filtering import LicenceText
from tasks.data.filters.text import Text

_NOTICE = re.compile(
    r"(?:©|\(c\)|&copy;|\bcopyright)\s*(?:©|\(c\)|&copy;|by)?\s*(?:19|20)\d\d\b"
    r"|(?:©|\bcopyright \(c\)|\bcopyright ©)\s*[A-Z]"
    r"|\ball rights reserved\b"
    r"|\bmay not be (?:reproduced|copied|redistributed)[^.]{0,80}without (?:the )?(?:prior |express )?(?:written )?(?:permission|consent)"
    r"|\bunauthori[sz]ed (?:copying|reproduction|distribution)[^.]{0,60}prohibited",
    re.IGNORECASE,
)
_LICENCE = re.compile(
    r"\bpermission is hereby granted, free of charge"
    r"|\blicensed under the apache license"
    r"|\bunder the terms of the gnu (?:lesser |affero )?general public license"
    r"|\bredistribution and use in source and binary forms"
    r"|\bthe software is provided [\"“']?as is"
    r"|\bspdx-license-identifier:",
    re.IGNORECASE,
)
_HINTS = ("copyright", "©", "(c)", "&copy;", "reserved", "licen", "permission", "reproduced", "unauthori", "redistribution", "provided", "spdx")


def licence_text(text: Text, settings: LicenceText) -> str | None:
    """A notice or a licence anywhere in the record."""
    whole = text.everything
    lower = whole.lower()
    if not any(hint in lower for hint in _HINTS):  # a tenth of the time of the patterns
        return None
    if _LICENCE.search(whole):
        return "licence text"
    return "copyright notice" if _NOTICE.search(whole) else None

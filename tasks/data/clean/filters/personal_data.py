"""Personal data and secrets, each kind by its own check: a number counts as a card or an account only if its checksum
holds.

Not here: names and street addresses, which no rule tells from fiction. Reserved examples (example.com, 192.0.2.0/24,
555-01xx, the card networks' published test numbers, the providers' documented sample keys) are nobody's and pass; so do
calculations, lists and tables of numbers.
"""

import re
from collections.abc import Callable

from configs.phases.filtering import PersonalData
from tasks.data.clean.filters.personal.accounts import card, iban, social_security
from tasks.data.clean.filters.personal.contact import ip, phone
from tasks.data.clean.filters.personal.keys import key
from tasks.data.clean.filters.personal.mail import mail
from tasks.data.clean.filters.text import Text

_SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")  # fewer are no datum of anybody's


def personal_data(text: Text, settings: PersonalData) -> str | None:
    """The first kind that is found; never the datum itself, which must not reach a log."""
    whole = text.everything
    kinds = KINDS if _SEVEN_DIGITS.search(whole) else _WITHOUT_NUMBERS
    return next((name for name, find in kinds.items() if getattr(settings, name) and find(whole)), None)


_WITHOUT_NUMBERS: dict[str, Callable[[str], bool]] = {"mail": mail, "key": key}
KINDS: dict[str, Callable[[str], bool]] = {
    **_WITHOUT_NUMBERS,
    "card": card,
    "iban": iban,
    "social_security": social_security,
    "ip": ip,
    "phone": phone,
}

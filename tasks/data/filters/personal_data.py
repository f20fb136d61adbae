"""Personal data and secrets, each kind by its own check: a number counts as a card or an account only if its checksum holds.

Not here: names and street addresses, which no rule tells from fiction. Reserved examples (example.com, 192.0.2.0/24, 555-01xx,
the card networks' published test numbers) are nobody's and pass.
"""

import ipaddress
import re
from collections.abc import Callable

from configs.phases.filtering import PersonalData
from tasks.data.filters.text import Text

_MAIL = re.compile(r"\b([A-Za-z0-9][A-Za-z0-9._%+-]*)@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})\b")
_PLACEHOLDER = re.compile(
    r"^(?:(?:your|my|first|last)?[._-]?(?:user)?(?:name|mail|email)?|example|test|user|someone|somebody|abc|xyz|\d+|j(?:ohn|ane)?[._-]?doe)\d*$", re.IGNORECASE
)
_RESERVED_MAIL = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net|edu)|\w+\.(?:example|test|invalid)|(?:your)?(?:domain|company|email|website)\.com|test\.com)$", re.IGNORECASE)
_PHONE = re.compile(
    r"(?<![\w.$-])(?:\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}"
    r"|(?:\+?1[ .-]?)?(?:\(([2-9]\d{2})\) ?|([2-9]\d{2})[.-])([2-9]\d{2})[.-]\d{4})(?![\w-])"
)
_TOLL_FREE = {"800", "833", "844", "855", "866", "877", "888", "900"}
_RUNS = ("0123456789012345678", "9876543210987654321")
_CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])")
_TEST_CARDS = {"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "4012888888881881", "5105105105105100", "6011111111111117"}
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_TEST_IBANS = {"DE89370400440532013000", "GB82WEST12345698765432", "GB29NWBK60161331926819", "FR1420041010050500013M02606"}
_SOCIAL = re.compile(r"(?<![\d-])(\d{3})-(\d{2})-(\d{4})(?![\d-])")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_SEVEN_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")  # fewer are no datum of anybody's
_KEY = re.compile(
    r"\b(?:sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}|[sr]k_live_[A-Za-z0-9]{20,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)


def personal_data(text: Text, settings: PersonalData) -> str | None:
    """The first kind that is found; never the datum itself, which must not reach a log."""
    whole = text.everything
    kinds = _KINDS if _SEVEN_DIGITS.search(whole) else _WITHOUT_NUMBERS
    return next((name for name, find in kinds.items() if getattr(settings, name) and find(whole)), None)


def mail(text: str) -> bool:
    """A mail address outside the reserved domains (RFC 2606) whose name is not a placeholder."""
    return "@" in text and any(not _RESERVED_MAIL.search(found[2]) and not _PLACEHOLDER.match(found[1]) for found in _MAIL.finditer(text))


def phone(text: str) -> bool:
    """A phone number of 9 to 15 digits (E.164), or a North American one in the ranges that are assigned. Made-up numbers (555, digits in
    order or all the same) and toll-free ones, which belong to no person, pass."""
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        area, exchange = found[1] or found[2], found[3]
        made_up = exchange == "555" or area == "555" or area in _TOLL_FREE or len(set(digits)) < 4 or any(digits[-7:] in run for run in _RUNS)
        if 9 <= len(digits) <= 15 and not made_up and not _is_calculation(text, found.end()):
            return True
    return False


def card(text: str) -> bool:
    """Thirteen to nineteen digits in a card network's range whose Luhn checksum holds."""
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if digits[0] in "3456" and len(set(digits)) > 3 and digits not in _TEST_CARDS and luhn(digits):
            return True
    return False


def iban(text: str) -> bool:
    """An account number whose ISO 7064 mod 97-10 checksum holds."""
    return any(mod_97(found[0]) and found[0].replace(" ", "") not in _TEST_IBANS for found in _IBAN.finditer(text))


def social_security(text: str) -> bool:
    """A US number in the ranges that are issued (not 000, 666, 9xx; not xx-00-xxxx; not 0000; not the advertised ones)."""
    for area, group, serial in (found.groups() for found in _SOCIAL.finditer(text)):
        if area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and (area, group, serial) not in (("123", "45", "6789"), ("078", "05", "1120")):
            return True
    return False


def ip(text: str) -> bool:
    """A global IPv4 address; private, loopback, documentation and reserved ranges are nobody's. Well-known resolvers pass."""
    for found in _IP.finditer(text):
        try:
            address = ipaddress.IPv4Address(found[0])
        except ValueError:
            continue
        octets = address.packed
        if address.is_global and octets[0] >= 11 and found[0] not in ("8.8.8.8", "8.8.4.4", "1.1.1.1"):
            return True
    return False


def key(text: str) -> bool:
    """A secret with a provider's own prefix, a JSON web token, or a private key in PEM form."""
    return _KEY.search(text) is not None


def luhn(digits: str) -> bool:
    """The checksum of ISO/IEC 7812-1: every second digit from the right doubled, digit sums added, divisible by ten."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def mod_97(account: str) -> bool:
    """The checksum of ISO 13616: first four characters to the end, letters as 10…35, remainder 1 modulo 97."""
    compact = account.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _is_calculation(text: str, end: int) -> bool:
    """Numbers in a calculation look like phone numbers: an operator or an equals sign follows."""
    return text[end : end + 3].lstrip()[:1] in ("=", "+", "*", "/", "^", "%")


_WITHOUT_NUMBERS: dict[str, Callable[[str], bool]] = {"mail": mail, "key": key}
_KINDS: dict[str, Callable[[str], bool]] = {**_WITHOUT_NUMBERS, "card": card, "iban": iban, "social_security": social_security, "ip": ip, "phone": phone}

"""Numbers of cards, bank accounts and US social security, each believed only if its own check holds."""

import re

from tasks.data.clean.filters.personal.calculation import is_calculated, is_difference, is_listed

_CARD = re.compile(
    r"(?<![\w.-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ "
    r"-])\d{6}\2\d{4,5})(?![\w-])(?!\.\d)(?![ -]\d{4})"
)
_GROUP_BEFORE = re.compile(r"\d{4}[ -]$")
_CARD_WORD = re.compile(r"\b(?:card|visa|credit|debit)\b", re.IGNORECASE)
# First digits and lengths of the networks: Visa, Mastercard, American Express, Discover, JCB, Diners Club, Maestro and
# UnionPay.
_NETWORK = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}|62\d{14,17}"
)
_TEST_CARDS = {
    *(
        "4111111111111111",
        "4242424242424242",
        "5555555555554444",
        "378282246310005",
        "4012888888881881",
        "5105105105105100",
    ),
    *(
        "6011111111111117",
        "371449635398431",
        "30569309025904",
        "3530111333300000",
        "4000056655665556",
        "6011000990139424",
        "4222222222222",
    ),
    *(
        "2223003122003222",
        "5200828282828210",
        "3566002020360505",
        "38520000023237",
        "378734493671000",
        "4000000000000002",
    ),
}
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_TEST_IBANS = {
    "DE89370400440532013000",
    "GB82WEST12345698765432",
    "GB29NWBK60161331926819",
    "FR1420041010050500013M02606",
}
_SOCIAL = re.compile(r"(?<![\d-])(\d{3})-(\d{2})-(\d{4})(?![\d-])")
_SOCIAL_WORD = re.compile(
    r"\bssn\b|\bsocial sec|\bss ?#|\btaxpayer|\b(?:his|her|their|my|your|whose)\s+(?:\w+\s+){0,2}(?:number|no\b|id\b)",
    re.IGNORECASE,
)


def card(text: str) -> bool:
    """A number of a card network's form, first digits and length whose Luhn checksum holds; not one of a list or a
    calculation."""
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if len(set(digits)) <= 3 or digits in _TEST_CARDS or not _NETWORK.fullmatch(digits) or not luhn(digits):
            continue
        start, end = found.span()
        if _CARD_WORD.search(text, max(0, start - 60), min(len(text), end + 30)):
            return True
        grouped = len(digits) != end - start
        if grouped and _GROUP_BEFORE.search(text[max(0, start - 5) : start]):
            continue
        if len(digits) > 13 and not is_listed(text, start, end) and (grouped or not is_calculated(text, start, end)):
            return True
    return False


def iban(text: str) -> bool:
    """An account number whose ISO 7064 mod 97-10 checksum holds."""
    return any(mod_97(found[0]) and found[0].replace(" ", "") not in _TEST_IBANS for found in _IBAN.finditer(text))


def social_security(text: str) -> bool:
    """A US number in the ranges that are issued (not 000, 666, 9xx; not xx-00-xxxx; not 0000; not the advertised ones)
    that is called one, or is no subtraction."""
    for found in _SOCIAL.finditer(text):
        area, group, serial = found.groups()
        if area in ("000", "666") or area >= "900" or group == "00" or serial == "0000":
            continue
        if (area, group, serial) in (("123", "45", "6789"), ("078", "05", "1120")):
            continue
        start, end = found.span()
        named = _SOCIAL_WORD.search(text, max(0, start - 60), min(len(text), end + 40))
        written = "0" in (area[0], group[0], serial[0])  # no number that is calculated with begins so
        if named or written or not is_difference(text, start, end):
            return True
    return False


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

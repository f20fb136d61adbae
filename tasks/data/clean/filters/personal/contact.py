"""Telephone numbers and internet addresses."""

import ipaddress
import re

from tasks.data.clean.filters.personal.calculation import is_calculated

_PHONE = re.compile(
    r"(?<![\w.$-])(?:\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}"
    r"|(?:\+?1[ .-]?)?(?:\(([2-9]\d{2})\) ?|([2-9]\d{2})[.-])([2-9]\d{2})[.-]\d{4})(?![\w-])"
)
_TOLL_FREE = {"800", "833", "844", "855", "866", "877", "888", "900"}
_RUNS = ("0123456789012345678", "9876543210987654321")
_CALL = re.compile(r"\b(?:phone|tel|telephone|call|dial|mobile|cell|fax|whatsapp|text)\b", re.IGNORECASE)
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_VERSION = re.compile(
    r"\bv(?:ersions?|er\.?)?\b|\brelease|\bbuild\b|\bfirmware|\bsection|\bchapter|\bkernel|\bupdate", re.IGNORECASE
)
_RESOLVERS = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"}


def phone(text: str) -> bool:
    """A phone number of 9 to 15 digits (E.164), or a North American one in the ranges that are assigned. Made-up
    numbers (555, digits in order or all the same) and toll-free ones, which belong to no person, pass; so does what is
    calculated with."""
    for found in _PHONE.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        area, exchange = found[1] or found[2], found[3]
        made_up = (
            exchange == "555"
            or area == "555"
            or area in _TOLL_FREE
            or len(set(digits)) < 4
            or any(digits[-7:] in run for run in _RUNS)
        )
        if made_up or not 9 <= len(digits) <= 15:
            continue
        start, end = found.span()
        if _CALL.search(text, max(0, start - 40), start) or not is_calculated(text, start, end):
            return True
    return False


def ip(text: str) -> bool:
    """A global IPv4 address; private, loopback, documentation and reserved ranges are nobody's. Well-known resolvers,
    whole networks and version numbers pass."""
    for found in _IP.finditer(text):
        try:
            address = ipaddress.IPv4Address(found[0])
        except ValueError:
            continue
        octets, (start, end) = address.packed, found.span()
        if not address.is_global or octets[0] < 11 or octets[3] in (0, 255) or found[0] in _RESOLVERS:
            continue
        product = re.search(r"[A-Za-z]/$", text[max(0, start - 2) : start])
        if not product and not _VERSION.search(text, max(0, start - 20), min(len(text), end + 25)):
            return True
    return False

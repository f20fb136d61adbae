"""What a line of JSON says and a value as JSON: one definition for every command, in which no value changes without a
word.

Read is what RFC 8259 allows and, beyond it, what Python's json writes: NaN, Infinity, lone surrogates. Whole numbers of
any length stay exact, which orjson alone would make floats of. Not here: which objects are records (record.py).
"""

import base64
import json
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from configs.errors import BadInput

DEEP = 200  # levels of lists and objects; what reads and writes JSON ends somewhere between 250 and 1,000
_LONG = re.compile(rb"\d{19}")


def parse(line: bytes, where: str) -> Any:
    """What ``line`` says.

    Raises:
        BadInput: it is not JSON in UTF-8, or nested too deep; names ``where``.
    """
    try:
        value = _exact(line) if _LONG.search(line) else orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            value = _exact(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}: not JSON ({_reason(line, error)}); every line is one JSON object") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({_reason(line, error)}); every line is one JSON object") from None
    if too_deep(line, value):
        raise BadInput(f"{where}: lists and objects nested more than {DEEP} deep; flatten or leave out the field")
    return value


def too_deep(line: bytes, value: Any) -> bool:
    """Whether ``value``, which ``line`` says, has more levels than are carried."""
    if len(line) < 2 * DEEP or line.count(b"[") + line.count(b"{") <= DEEP:
        return False
    level = [value]
    for _ in range(DEEP + 1):
        level = (
            [
                inner
                for one in level
                for inner in (one.values() if isinstance(one, dict) else one)
                if isinstance(inner, dict | list)
            ]
            if level
            else []
        )
    return bool(level)


def dumps(value: Any) -> bytes:
    """``value`` as one line of JSON without its end.

    What JSON has no word for is text: bytes as base64, decimals as their digits, spans of time as ISO 8601 ("PT1.5S").

    Raises:
        TypeError, ValueError, RecursionError: it cannot be written.
    """
    try:
        line = orjson.dumps(value, default=_as_text, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a whole number of more than 64 bits, a lone surrogate
        return _written(value)
    return _written(value) if b"null" in line and _odd_number(value) else line


def _exact(line: bytes) -> Any:
    return json.loads(line.decode("utf-8"))


def _reason(line: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested more than {DEEP} deep"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8; save the file as UTF-8"
    try:  # its words are of bytes, not of lines
        orjson.loads(line)
    except orjson.JSONDecodeError as known:
        return str(known).split(": line")[0]
    return str(error)


def _written(value: Any) -> bytes:
    """As Python's json writes it; a lone surrogate makes the line ASCII."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_as_text)
    try:
        return line.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_as_text).encode()


def _odd_number(value: Any) -> bool:
    """Whether NaN or an infinity, for which orjson writes null, is inside."""
    if isinstance(value, float):
        return not isfinite(value)
    return (
        any(map(_odd_number, value.values() if isinstance(value, dict) else value))
        if isinstance(value, dict | list | tuple)
        else False
    )


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _span(value: timedelta) -> str:
    """Seconds as ISO 8601 has them, exact to the nanosecond where pandas' own kind brings them."""
    nanoseconds = (
        (value.days * 86_400 + value.seconds) * 10**9 + value.microseconds * 1000 + getattr(value, "nanoseconds", 0)
    )
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"{'-' if nanoseconds < 0 else ''}PT{seconds}{f'.{rest:09d}'.rstrip('0') if rest else ''}S"

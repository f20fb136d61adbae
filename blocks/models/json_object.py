"""JSON that somebody else wrote, read within bounds: UTF-8, every key once, finite numbers, no deep nesting.

Not here: our own rows (blocks/json_lines.py), and what the fields mean.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from configs.errors import BadInput

LARGEST = 4 << 20  # bytes of a configuration
DEEPEST = 64  # Rust's readers stop at 128, Python's at the recursion limit
DIGITS = 40  # of a whole number; tokenizers write 10^30 for "no limit"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """The JSON object in a file of at most ``largest`` bytes.

    Raises:
        BadInput: missing, unreadable, too large, or not such an object.
    """
    try:
        if not path.is_file():
            raise BadInput(f"{path}: missing, or no file; name a folder in Hugging Face's layout")
        if (size := path.stat().st_size) > largest:
            raise BadInput(f"{path}: {size} bytes are more than the {largest} that such a file may have")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: not readable as JSON ({error.strerror})") from None
    value = parse(data, str(path))
    if not isinstance(value, dict):
        raise BadInput(f"{path}: expected a JSON object, found {_named(value)}")
    return value


def parse(data: bytes, where: str) -> Any:
    """The JSON value in ``data``, which stands at ``where``.

    Raises:
        BadInput: not UTF-8, not JSON, a key given twice, a number that is not finite or of more than ``DIGITS`` digits,
            half a character, or nested deeper than ``DEEPEST``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(
            f"{where}: not readable as JSON (not UTF-8); save it as UTF-8 without a byte order mark"
        ) from None
    if text.startswith("\ufeff"):
        raise BadInput(
            f"{where}: not readable as JSON (it begins with a byte order mark); save it as UTF-8 without one"
        )
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_float=_finite, parse_int=_small, parse_constant=_constant
        )
        if _too_deep(value):
            raise RecursionError
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise BadInput(f"{where}: not readable as JSON (nested deeper than {DEEPEST})") from None
    except UnicodeEncodeError:
        raise BadInput(f"{where}: not readable as JSON (half a character, a lone surrogate)") from None
    except ValueError as error:
        raise BadInput(f"{where}: not readable as JSON ({' '.join(str(error).split())[:120]})") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice[:60]!r} stands there twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {text[:20]} is too large")
    return value


def _small(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"number {text[:20]}… is too large")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _too_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _named(value: Any) -> str:
    return {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}.get(
        type(value), "null"
    )

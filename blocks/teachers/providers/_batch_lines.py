"""The results of a batch: a file of lines that may be large, and of which any line may be anything.

They go to disk and are read a line at a time. Not here: where they are fetched from, what a line's reply means.
"""

import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

from blocks.teachers.calling.bounded import FILE_BYTES, FILE_SECONDS, Room, expecting
from blocks.teachers.calling.faults import Fault, from_sdk, unexpected, unreadable
from blocks.teachers.provider import NAMELESS, Reply

LINE_BYTES = 32 * 2**20
MOST_LINES = 50_000
"""Calls that the largest batch of any provider holds, errors included; our own hold 10,000."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=-]{0,199}")
_KEY = re.compile(r"[0-9a-f]{32}")
Results = dict[str, Reply | Fault]


def identity(found: Any, what: str) -> str:
    """An id of the provider's, which will stand in addresses and in the journal.

    Raises:
        Fault: it is none.
    """
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise Fault("retry", f"the provider gave no id of {what}", billed=True)
    return found


async def read_lines(
    sdk: ModuleType,
    sent: Callable[[], Awaitable[Any]],
    take: Callable[[dict[str, Any]], Reply | Fault],
    results: Results,
) -> None:
    """Add what the lines of a file say, by ``custom_id``; of a repeated line the first counts. One that names no call
    is NAMELESS.

    Raises:
        Fault: the file cannot be fetched.
    """
    with tempfile.TemporaryFile(prefix="cogumi-batch-") as file:
        try:
            with expecting(Room(FILE_BYTES, FILE_SECONDS, file)):
                await sent()
        except Exception as error:
            raise from_sdk(error, sdk) from None
        file.seek(0)
        for line in _lines(file):
            if len(results) >= MOST_LINES:
                return
            _take(line, take, results)


def expect(results: Results, counts: Any, name: str) -> None:
    """Note where there are fewer results than the batch says to have answered: ``counts`` is its own account, ``name``
    that of the answers there. The others are charged all the same."""
    said = counts.get(name) if isinstance(counts, dict) else None
    lacking = min(said, MOST_LINES) - len(results.keys() - {NAMELESS}) if type(said) is int else 0
    if lacking > 0:
        fault = unreadable(f"the batch ended without it: {lacking} of {said} answers are not among its results")
        fault.unanswered = True
        _keep(results, NAMELESS, fault)


def _take(line: bytes, take: Callable[[dict[str, Any]], Reply | Fault], results: Results) -> None:
    try:
        entry = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        _keep(results, _key_in(line), unreadable("its line of the batch is not JSON"))
        return
    key = entry.get("custom_id") if isinstance(entry, dict) else None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        _keep(results, NAMELESS, unreadable("the batch ended without it, and with a line that names no call"))
        return
    if key in results:
        return
    try:
        _keep(results, key, take(entry))
    except Fault as fault:
        _keep(results, key, fault)
    except Exception as error:
        _keep(results, key, unexpected(error, "a line of the batch"))


def _keep(results: Results, key: str, found: Reply | Fault) -> None:
    if key not in results:
        results[key] = found


def _key_in(line: bytes) -> str:
    """The key in a damaged line, which says whose call was answered and charged."""
    found = re.search(rb'"custom_id"\s*:\s*"([0-9a-f]{32})"', line[:100_000])
    return found[1].decode() if found else NAMELESS


def _lines(file: Any) -> Iterator[bytes]:
    """Lines that are not longer than a line can be; the rest of a longer one is passed over."""
    while line := file.readline(LINE_BYTES):
        whole = line.endswith(b"\n")
        while not whole and (more := file.readline(LINE_BYTES)):
            whole, line = more.endswith(b"\n"), b""
        if line.strip():
            yield line

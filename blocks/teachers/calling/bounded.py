"""The SDKs' HTTP client with a bound on everything that a provider sends: bytes after decoding, seconds, and where it
leads.

The same for all four SDKs, on httpx or httpx2. Nothing is followed: a redirect would carry the key to wherever it
points (httpx drops only ``authorization`` on the way to another host, and Anthropic's key is in ``x-api-key``).
Not here: what a response means (chat.py, faults.py).
"""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO

from blocks.teachers.calling.faults import Fault, unreadable

BASE_BYTES, BYTES_PER_TOKEN = 512 * 1024, 1024
"""Room for a reply: what stands around an answer, and a token with its escapes, its reasoning and its
log-probabilities."""
ERROR_BYTES = 64 * 1024
FILE_BYTES, FILE_SECONDS = 2**30, 3600.0
"""Room for the results of a batch (10,000 calls of 100 KB), which go to a file on disk."""
_KEPT_HEADERS = (b"retry-after", b"retry-after-ms", b"x-request-id", b"request-id")


@dataclass(frozen=True, slots=True)
class Room:
    """What the next response may take. ``file``: where a good one is written instead of into memory."""

    bytes: int = BASE_BYTES
    seconds: float = 600.0
    file: BinaryIO | None = None


_USUAL = Room()
_room: ContextVar[Room] = ContextVar("room", default=_USUAL)


@contextlib.contextmanager
def expecting(room: Room) -> Iterator[None]:
    """Responses inside of this block may take ``room``."""
    token = _room.set(room)
    try:
        yield
    finally:
        _room.reset(token)


def for_tokens(max_tokens: int, seconds: float) -> Room:
    """The room of a completion. ``seconds`` are for all of it."""
    return Room(BASE_BYTES + BYTES_PER_TOKEN * max_tokens, seconds)


def bounded(client: type[Any]) -> type[Any]:
    """An asynchronous HTTP client class of httpx or httpx2 that reads every response within its room."""

    class Bounded(client):
        async def send(self, request: Any, **options: Any) -> Any:
            room = _room.get()
            request.headers["accept-encoding"] = "identity"
            async with asyncio.timeout(room.seconds):
                response = await super().send(request, **options | {"stream": True, "follow_redirects": False})
                try:
                    content = await _content(response, room)
                finally:
                    await response.aclose()
            kept = [(name, value) for name, value in response.headers.raw if name.lower() in _KEPT_HEADERS]
            return type(response)(response.status_code, headers=kept, content=content, request=request)

    return Bounded


def http(sdk: ModuleType, limits: Any) -> Any:
    """The SDK's own HTTP client, bounded, with one connection per call. A connection that is used again can hand a
    repeated or late response to the next request, and nothing in the response says so; a handshake is little beside an
    answer."""
    return bounded(sdk.DefaultAsyncHttpxClient)(limits=limits(max_keepalive_connections=0))


async def _content(response: Any, room: Room) -> bytes:
    """The decoded body; of an error as much as is needed to read its message.

    Raises:
        Fault: it is larger than its room, or encoded in a way that was not asked for.
    """
    good = response.status_code < 300
    most = room.bytes if good else ERROR_BYTES
    kept, size = bytearray(), 0
    try:
        decoder = _Decoder(response.headers.get_list("content-encoding", split_commas=True))
        async for raw in _pieces(response):
            for part in decoder.parts(raw):
                size += len(part)
                if size > most:
                    if good:
                        raise unreadable(f"the reply is larger than {most} bytes")
                    return bytes(kept + part[: most - len(kept)])
                if good and room.file is not None:
                    room.file.write(part)
                else:
                    kept += part
            if decoder.ended:
                break
    except (Fault, zlib.error) as error:
        if good:
            raise error if isinstance(error, Fault) else unreadable(f"the reply does not decode ({error})") from None
    return bytes(kept)


async def _pieces(response: Any) -> AsyncIterator[bytes]:
    """The body as it comes; of a transport within this process it is there already."""
    if response.is_stream_consumed:
        yield response.content
        return
    async for raw in response.aiter_raw():
        yield raw


class _Decoder:
    """Of at most one gzip or deflate, a piece at a time, so that a small body cannot become a large one unseen."""

    PIECE = 64 * 1024

    def __init__(self, encodings: list[str]) -> None:
        used = [name for name in (each.strip().lower() for each in encodings) if name not in ("", "identity")]
        if len(used) > 1 or not set(used) <= {"gzip", "x-gzip", "deflate"}:
            raise unreadable(f"the reply is encoded as {', '.join(used)[:60]!r}, which was not asked for")
        self._inflate = (
            zlib.decompressobj(wbits=47) if used else None
        )  # 47: gzip's or zlib's header, whichever is there
        self.ended = False

    def parts(self, raw: bytes) -> Iterator[bytes]:
        """What ``raw`` decodes to."""
        if self._inflate is None:
            yield raw
            return
        while raw:
            yield self._inflate.decompress(raw, self.PIECE)
            raw = self._inflate.unconsumed_tail
        self.ended = self._inflate.eof

"""A Zstandard file unpacked frame by frame, whatever its window (``--long``), a little at a time.

Not here: how much it may unpack to (unpacked.py).
"""

from collections.abc import Iterator
from typing import IO

WINDOW = 2**31  # the largest that the zstd command makes; of it only as much is ever touched as the content has bytes
_SIP = (
    2**10
)  # packed bytes at once: a block takes at least 4 and unpacks to at most 128 KiB, so that 32 MiB come of them


def frames(file: IO[bytes]) -> Iterator[bytes]:
    """What the frames of ``file`` hold, in pieces of at most 32 MiB.

    Raises:
        OSError: it is damaged, was cut off, or has a larger window.
    """
    import zstandard

    decoder, begun = None, False
    while data := file.read(2**20):
        for first in range(0, len(data), _SIP):
            sip = data[first : first + _SIP]
            while sip:
                if decoder is None:
                    decoder, begun = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj(), True
                try:
                    out = decoder.decompress(sip)
                except (zstandard.ZstdError, MemoryError) as error:
                    raise OSError(_reason(error)) from None
                if out:
                    yield out
                sip = decoder.unused_data if decoder.eof else b""
                if decoder.eof:
                    decoder = None
    if decoder is not None or not begun:
        raise OSError("it was cut off")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError) or "too much memory" in str(error) or "Allocation" in str(error):
        return (
            f"its window takes more than {WINDOW >> 30} GiB or than this machine has; unpack it with zstd -d "
            "--long=31 and pack it again without --long"
        )
    return str(error)

"""Writing to a file that its name says is packed: .zst and .gz. Not here: unpacking (unpacked.py)."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

ZSTD_LEVEL, GZIP_LEVEL = 3, 6  # what the commands zstd and gzip do by themselves
ZSTD_THREADS = 2  # beside the one that writes; the bytes are the same for any number of them but none


@contextmanager
def packed(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """What to write to; the content reaches ``file`` as the name of ``path`` says, whole when the block ends.

    ``file`` stays open.

    Raises:
        OSError: ``file`` cannot take it.
    """
    import zstandard

    if path.suffix == ".zst":
        with zstandard.ZstdCompressor(ZSTD_LEVEL, threads=ZSTD_THREADS).stream_writer(file, closefd=False) as stream:
            yield stream
    elif path.suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=file, mtime=0) as stream:
            yield cast("IO[bytes]", stream)
    else:
        yield file

"""Files that appear whole or not at all, several of them together; after a kill nothing of them is left.

What is written has no name until it is done (Linux's O_TMPFILE); where the file system cannot do that, it has a hidden
one. Not here: what is written.
"""

import errno
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO


def replace(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write one file, whole or not at all, also when the machine stops in between; missing folders are made. A link or
    pipe is replaced, not followed: what lies in a shared store must not lead out of it.

    Raises:
        OSError: it cannot be written.
    """
    with _Unfinished(path, mode) as file:
        file.stream.write(content)
        file.sync()
        file.publish()


@contextmanager
def whole(paths: Sequence[Path]) -> Iterator[list[IO[bytes]]]:
    """Files to write to, and to read again, that take the places of ``paths``, synced to disk, when the block ends
    well. A link keeps pointing to what is written.

    Raises:
        OSError: one of them cannot be written.
    """
    with ExitStack() as opened:
        files = [opened.enter_context(_Unfinished(_plain(path), 0o666)) for path in paths]
        yield [file.stream for file in files]
        for file in files:
            file.sync()
        for file in files:
            file.publish()


def _plain(path: Path) -> Path:
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no plain file", str(path))  # a device or pipe would be replaced
    return path


class _Unfinished:
    """One file on its way, of permissions ``mode`` less the umask. Its ``stream`` may be closed by who writes to it."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._hidden = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex[:8]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, mode)
            self._named = False
        except (OSError, AttributeError):  # another file system, another operating system
            self._descriptor = os.open(self._hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
            self._named = True
        self.stream: IO[bytes] = os.fdopen(os.dup(self._descriptor), "w+b")

    def __enter__(self) -> "_Unfinished":
        return self

    def sync(self) -> None:
        """Bring what was written to disk."""
        if not self.stream.closed:
            self.stream.flush()
        os.fsync(self._descriptor)

    def publish(self) -> None:
        """Give the file its name, over what has it now."""
        if not self._named:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:  # given a folder, Python asks the kernel to follow the link to the open file
                os.link(f"/proc/self/fd/{self._descriptor}", self._hidden, src_dir_fd=folder, follow_symlinks=True)
                self._named = True
            finally:
                os.close(folder)
        os.replace(self._hidden, self.path)
        self._named = False

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # a full disk was told already
            self.stream.close()
        os.close(self._descriptor)
        if self._named:
            with suppress(OSError):
                self._hidden.unlink()

"""A pointer: one small file in the store that is replaced as a whole, by one process after the other.

A folder's file is locked and renamed into place. An S3 object is replaced only if it is still the one that was read (conditional put);
other remote stores have no such condition: let one machine at a time move a pointer there. Not here: what it points at.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from blocks import store
from blocks.errors import BadInput, Transient
from blocks.home import home

TRIES = 20


def read(name: str) -> bytes | None:
    """What the pointer ``name`` holds; None where it was never set."""
    return _read(name)[0]


def place(name: str) -> str:
    """Where the pointer lies, for messages."""
    return _place(name)[1]


def move(name: str, change: Callable[[bytes | None], bytes | None]) -> None:
    """Replace what the pointer holds by ``change`` of it, as one: nobody else's move is lost in between. None leaves it as it is.

    ``change`` may be called again where somebody else was quicker.

    Raises:
        Transient: others move it all the time.
    """
    with _alone(name):
        for _ in range(TRIES):
            before, version = _read(name)
            after = change(before)
            if after is None or after == before or _replace(name, after, version):
                return
    raise Transient(f"{place(name)} is being changed all the time; try again")


def _place(name: str) -> tuple[fsspec.AbstractFileSystem, str]:
    fs, root = fsspec.core.url_to_fs(store.location())
    return fs, f"{root}/{name}"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process of this store folder (of this machine, where the store is remote) at a time; the kernel frees the lock."""
    folder = os.path.join(home() if "://" in store.location() else store.location(), "locks")
    try:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(os.path.join(folder, name), os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}; set COGUMI_STORE or COGUMI_HOME to a writable place") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(name: str) -> tuple[bytes | None, str | None]:
    """The content, and on S3 the version (ETag) that it has or had just before."""
    fs, path = _place(name)
    version = None
    try:
        if _conditional(fs):
            fs.invalidate_cache()
            version = str(fs.info(path)["ETag"])
        return bytes(fs.cat_file(path)), version
    except FileNotFoundError:
        return None, None


def _replace(name: str, content: bytes, version: str | None) -> bool:
    """Put ``content`` in place; False where somebody else did so since ``version`` was read."""
    fs, path = _place(name)
    if "://" in store.location():
        condition: dict[str, Any] = {} if not _conditional(fs) else {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            fs.pipe_file(path, content, **condition)
        except OSError as error:
            if condition and ("recondition" in f"{error} {error.__cause__}" or isinstance(error, FileExistsError)):
                return False
            raise
        return True
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return True


def _conditional(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether the store replaces an object only on a condition."""
    return "s3" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)

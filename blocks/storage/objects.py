"""Files in a remote store (S3, or whatever else fsspec speaks): read, write, list, upload, download; waiting is
bounded.

Every call succeeds, says that there is no such file, or raises one clear line: broken connections are tried again for
``PATIENCE`` seconds. Not here: what an artifact is, and local folders (store.py).
"""

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from configs.errors import BadInput, Transient

R = TypeVar("R")
PATIENCE = 12.0  # seconds from the first failure to giving up
_PAUSE = 0.2
_TIMEOUTS: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 8, "retries": {"total_max_attempts": 1}}
# A listing must show what another machine wrote a moment ago; for every user of fsspec in this process.
fsspec.config.conf.setdefault("s3", {}).update({"config_kwargs": _TIMEOUTS, "use_listings_cache": False})


class Oversized(ValueError):
    """A file is larger than it may be; it was not read."""


def is_remote(location: str) -> bool:
    """Whether ``location`` is a URL, not a folder."""
    return "://" in location


def read(url: str, most: int) -> bytes:
    """The content of the file at ``url``, of ``most`` bytes.

    Raises:
        FileNotFoundError: there is none.
        Oversized: it has more.
        BadInput: access is denied, or the store's driver is not installed.
        Transient: the store cannot be reached. These two hold for every function here.
    """
    return read_version(url, most)[0]


def write(url: str, content: bytes) -> None:
    """Put ``content`` at ``url``, whole or not at all."""
    _reach(url, lambda fs, path: fs.pipe_file(path, content), writes=True)


def read_version(url: str, most: int) -> tuple[bytes, str | None]:
    """The content of the file at ``url``, of ``most`` bytes, and, on S3, the version (ETag) that it has or had just
    before.

    Raises:
        FileNotFoundError: there is none.
        Oversized: it has more.
    """

    def load(fs: fsspec.AbstractFileSystem, path: str) -> tuple[bytes, str | None]:
        found = fs.info(path)
        if found["type"] != "file":
            raise FileNotFoundError(path)
        if int(found["size"] or 0) > most:
            raise Oversized(f"{url} has more than {most} bytes")
        return bytes(fs.cat_file(path)), str(found["ETag"]) if _is_s3(fs) else None

    return _reach(url, load)


def swap(url: str, content: bytes, version: str | None) -> bool:
    """Put ``content`` in the place of ``version`` (None: where nothing is); False where something else is there by now.
    Only S3 can refuse (conditional put): elsewhere the content is replaced whatever it is."""

    def put(fs: fsspec.AbstractFileSystem, path: str) -> bool:
        if not _is_s3(fs):
            fs.pipe_file(path, content)
            return True
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            fs.pipe_file(path, content, **condition)
        except OSError as error:
            codes = {
                str(getattr(one, "response", {}).get("Error", {}).get("Code"))
                for one in (error, error.__cause__)
                if one is not None
            }
            if codes & {"PreconditionFailed", "ConditionalRequestConflict", "412"} or isinstance(
                error, FileExistsError
            ):
                return False
            raise
        return True

    return _reach(url, put, writes=True)


def exists(url: str) -> bool:
    """Whether there is a file at ``url``."""
    return _reach(url, lambda fs, path: bool(fs.exists(path)))


def remove(url: str) -> None:
    """Remove the file at ``url``; one that is gone already is fine."""
    try:
        _reach(url, lambda fs, path: fs.rm_file(path))
    except FileNotFoundError:
        pass


def sizes(url: str) -> dict[str, int]:
    """Every file below ``url``: path relative to it → bytes. Empty when there is nothing."""

    def look(fs: fsspec.AbstractFileSystem, path: str) -> dict[str, int]:
        try:
            found = fs.find(path, detail=True)
        except FileNotFoundError:
            return {}
        return {name[len(path.rstrip("/")) + 1 :]: int(entry["size"] or 0) for name, entry in found.items()}

    return _reach(url, look)


def read_all(url: str, names: Sequence[str]) -> dict[str, bytes]:
    """The contents of the files ``names`` below ``url``, many at once; those that are gone are left out."""

    def load(fs: fsspec.AbstractFileSystem, path: str) -> dict[str, bytes]:
        found = fs.cat([f"{path}/{name}" for name in names], on_error="return") if names else {}
        for content in found.values():
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise content
        return {
            name[len(path.rstrip("/")) + 1 :]: content for name, content in found.items() if isinstance(content, bytes)
        }

    return _reach(url, load)


def upload(folder: Path, names: Sequence[str], url: str) -> None:
    """Put the files ``names`` of ``folder`` below ``url`` and check that each arrived in full length."""
    for name in names:
        _reach(f"{url}/{name}", lambda fs, path, name=name: fs.put_file(str(folder / name), path), writes=True)  # type: ignore[misc]
    there = sizes(url)
    short = [name for name in names if there.get(name) != (folder / name).stat().st_size]
    if short:
        raise Transient(f"{url}: {short[0]} did not arrive whole; the store or a proxy before it cuts connections")


class _AtMost(fsspec.Callback):
    """Ends a download that brings more bytes than it may."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def relative_update(self, inc: int = 1) -> None:
        """Some more bytes came."""
        super().relative_update(inc)
        if self.value > self.most:
            raise Oversized(f"more than {self.most} bytes came")


def download(url: str, files: Mapping[str, int], folder: Path) -> None:
    """Bring files below ``url`` to ``folder``: names inside of it, and the bytes that each may have.

    Raises:
        FileNotFoundError: one of them is gone.
        Oversized: one of them has more; no more than that was fetched.
    """
    for name, size in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        get: Any = partial(_get, target=target, most=size)
        _reach(f"{url}/{name}", get)


def _get(fs: Any, path: str, target: Path, most: int) -> None:
    fs.get_file(path, str(target), callback=_AtMost(most))


def read_file(path: Path, most: int) -> bytes:
    """The content of a local file of at most ``most`` bytes; no link is followed, no pipe or device waited for.

    Raises:
        FileNotFoundError: there is none.
        Oversized: it has more bytes.
        ValueError: it is a link, a folder, a pipe or a device.
        OSError: it may not be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise ValueError(f"{path} is no plain file") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{path} is no plain file")
    with open(handle, "rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise Oversized(f"{path} has more than {most} bytes")
    return content


def move(source: Path, target: Path) -> None:
    """Rename a folder to ``target``, whatever was there before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        if target.is_symlink() or target.is_file():
            target.unlink()
        shutil.rmtree(target, ignore_errors=True)
        try:
            os.rename(source, target)
            return
        except OSError:
            if not target.exists():
                raise  # anything else than another process that put the same folder there in between


def _reach(url: str, operation: Callable[[fsspec.AbstractFileSystem, str], R], writes: bool = False) -> R:
    """Do ``operation`` on the file system behind ``url``, again and again while only the connection is at fault."""
    first_failure, pause = None, _PAUSE
    while True:
        try:
            fs, path = _opened(url)
            if hasattr(fs, "retries"):
                fs.retries = 2  # its own, within one operation
            return operation(fs, path)
        except FileNotFoundError as error:
            if writes:
                raise BadInput(f"cannot write to {url}: {error}; make the bucket, or correct COGUMI_STORE") from None
            raise
        except Oversized:
            raise
        except (PermissionError, ImportError, ValueError) as error:
            raise BadInput(f"cannot use {url}: {_line(error)}; {_advice(error)}") from None
        except Exception as error:  # each driver has its own family of connection errors, not all of them OSError
            if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
                raise BadInput(f"cannot use {url}: {_line(error)}; {_advice(error)}") from None
            if isinstance(error, OSError) and error.errno in (
                errno.ENOSPC,
                errno.EDQUOT,
                errno.EROFS,
            ):  # this machine's disk, where it arrives
                raise BadInput(
                    f"cannot fetch {url}: {error.strerror} on this machine; make room, or set COGUMI_HOME to another "
                    "disk"
                ) from None
            now = time.monotonic()
            first_failure = first_failure or now
            if now - first_failure > PATIENCE:
                raise Transient(
                    f"cannot reach {url} ({type(error).__name__}: {_line(error)}); check the address "
                    "(AWS_ENDPOINT_URL) and the network"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 3)


def _opened(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except TypeError as error:  # a driver that wants more than a URL
        raise ValueError(error) from None
    return fs, path


def _is_s3(fs: fsspec.AbstractFileSystem) -> bool:
    return "s3" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _advice(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return "install its driver: pip install 'cogumi[s3]'"
    if isinstance(error, ValueError):
        return "see COGUMI_STORE"
    return (
        "give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, that may read and write there"
    )

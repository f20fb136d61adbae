"""Where the artifact store lies, and the work in progress beside it.

A folder (default ``$COGUMI_HOME/store``) or any fsspec URL in ``COGUMI_STORE``, such as ``s3://bucket/prefix``.
Not here: artifacts (store.py), and connections (objects.py).
"""

import fcntl
import os
import shutil
import time
import uuid
from pathlib import Path

from blocks.storage import objects
from blocks.storage.home import absolute, home
from configs.errors import BadInput


def location() -> str:
    """The store's URL or absolute folder.

    Raises:
        BadInput: the URL names no bucket or folder, or contains a password, which would stand in every reference to an
            artifact.
    """
    named = os.environ.get("COGUMI_STORE") or str(home() / "store")
    place = named.removeprefix("file://")
    if not objects.is_remote(place):
        if not place:
            raise BadInput(
                f"COGUMI_STORE {named!r} names no folder; write a folder, or a URL such as s3://bucket/prefix"
            )
        return str(absolute("COGUMI_STORE", place))
    scheme, _, rest = place.rpartition("://")
    bucket = rest.partition("/")[0]
    if ":" in bucket.rpartition("@")[0]:
        raise BadInput(
            f"COGUMI_STORE {scheme}://…@{bucket.rpartition('@')[2]} contains a password; give it by the store's own "
            "variables, such as AWS_ACCESS_KEY_ID"
        )
    if not bucket:
        raise BadInput(f"COGUMI_STORE {named!r} names no bucket; write a folder, or a URL such as s3://bucket/prefix")
    return place.rstrip("/")


def scratch() -> Path:
    """Where work in progress and locks are: beside the artifacts, on a remote store in this machine's state folder."""
    return home() if objects.is_remote(location()) else Path(location())


def inside(folder: Path) -> Path:
    """``folder``, in the store or the state folder, which others may write to as well.

    Raises:
        BadInput: a link leads out of there.
    """
    above = scratch()
    if not folder.resolve().is_relative_to(above.resolve()):
        raise BadInput(f"{folder} leads out of {above} to {folder.resolve()}; remove the link, nothing was written")
    return folder


def new_work_folder() -> Path:
    """A fresh folder for work in progress, on the store's own disk where that is local; sweeps what dead processes
    left."""
    root = inside(scratch() / "tmp")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for old in root.iterdir():
            _sweep(old)
        work = root / uuid.uuid4().hex
        work.mkdir()
    except OSError as error:
        raise BadInput(
            f"cannot write to the artifact store {location()}: {error.strerror}; set COGUMI_STORE or COGUMI_HOME to a "
            "writable place"
        ) from None
    return work


def _sweep(old: Path) -> None:
    """Remove a work folder whose maker is gone: its lock, held for life, is free and it is not brand new."""
    try:
        if old.is_symlink() or (time.time() - old.stat().st_mtime < 60 and not (old / ".lock").exists()):
            return
        lock = os.open(old / ".lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(old, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)

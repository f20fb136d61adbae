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

from blocks import objects
from blocks.home import home
from configs.errors import BadInput


def location() -> str:
    """The store's URL or absolute folder."""
    place = os.environ.get("COGUMI_STORE") or str(home() / "store")
    place = place.removeprefix("file://")
    return place.rstrip("/") if objects.is_remote(place) else str(Path(place).expanduser().absolute())


def scratch() -> Path:
    """Where work in progress and locks are: beside the artifacts, on a remote store in this machine's state folder."""
    return home() if objects.is_remote(location()) else Path(location())


def new_work_folder() -> Path:
    """A fresh folder for work in progress, on the store's own disk where that is local; sweeps what dead processes left."""
    root = scratch() / "tmp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for old in root.iterdir():
            _sweep(old)
        work = root / uuid.uuid4().hex
        work.mkdir()
    except OSError as error:
        raise BadInput(f"cannot write to the artifact store {location()}: {error.strerror}; set COGUMI_STORE or COGUMI_HOME to a writable place") from None
    return work


def _sweep(old: Path) -> None:
    """Remove a work folder whose maker is gone: its lock, held for life, is free and it is not brand new."""
    try:
        if time.time() - old.stat().st_mtime < 60 and not (old / ".lock").exists():
            return
        lock = os.open(old / ".lock", os.O_CREAT | os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(old, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)

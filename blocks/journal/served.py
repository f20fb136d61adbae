"""What was served: one line per answer and per remark on one, in a file per day and machine, which the nightly run
reads.

Folder: ``COGUMI_SERVED``, else ``$COGUMI_HOME/served``. A line is appended whole, under a lock, and is on the disk when
``append`` returns. Prompts are personal data: whether they are kept is the release's own setting (``release.log``).
Nothing is deleted here: remove the files of days that need not be kept. Not here: answering (deployments/serving), and
what is made of it (tasks/improvement).
"""

import fcntl
import logging
import os
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from blocks.records import Record
from blocks.storage.home import home, inside
from configs.errors import BadInput

log = logging.getLogger("cogumi.served")


class Served(Record):
    """One answer. ``choice``: "base" or the modifier that answered; ``escalated``: the router chose a modifier;
    ``fallback``: why the base's answer was given although a modifier was chosen; ``confidence``: the router's, that the
    base is right. ``turn`` counts the conversation's questions from 1. Prompt and answer are None where the release
    does not keep them."""

    kind: Literal["answer"] = "answer"
    id: str
    time: str
    release: str
    turn: int
    prompt: str | None
    answer: str | None
    domain: str
    choice: str
    escalated: bool
    fallback: str | None
    confidence: float
    threshold: float
    seconds: float


class Remark(Record):
    """What a person said of the answer ``answer``."""

    kind: Literal["remark"] = "remark"
    answer: str
    time: str
    good: bool


Line = Annotated[Served | Remark, Field(discriminator="kind")]
_LINE: TypeAdapter[Served | Remark] = TypeAdapter(Line)


def now() -> str:
    """The time as it stands in the log: UTC, to the microsecond, so that texts sort as times."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    """An id for an answer."""
    return uuid.uuid4().hex


def folder() -> Path:
    """Where the log is; several machines may share the folder, each writes files of its own.

    Raises:
        BadInput: it cannot be made.
    """
    path = Path(os.environ.get("COGUMI_SERVED") or home() / "served")
    try:
        path.mkdir(mode=0o700 if inside(path) else 0o777, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cannot write what is served to {path}: {error.strerror}; set COGUMI_SERVED to a writable folder"
        ) from None
    return path


def append(line: Served | Remark) -> None:
    """Write ``line`` durably. A line that a crash cut short before it does not swallow it."""
    path = folder() / f"{line.time[:10]}.{socket.gethostname()}.jsonl"
    data = line.model_dump_json().encode() + b"\n"
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600 if inside(path) else 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                data = b"\n" + data
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise BadInput(
            f"cannot write what is served to {path}: {error.strerror}; free the disk, or set COGUMI_SERVED to a "
            "writable folder"
        ) from None


def read(after: str, until: str) -> Iterator[Served | Remark]:
    """The lines with ``after`` < time <= ``until``, by file; unreadable lines are left out, which the log says."""
    torn = 0
    for path in sorted(folder().glob("*.jsonl")):
        if not after[:10] <= path.name[:10] <= until[:10]:
            continue
        for data in path.read_bytes().split(b"\n"):
            if not data:
                continue
            try:
                line = _LINE.validate_json(data)
            except ValidationError:
                torn += 1
                continue
            if after < line.time <= until:
                yield line
    if torn:
        log.warning("%d lines of %s cannot be read and are left out", torn, folder())

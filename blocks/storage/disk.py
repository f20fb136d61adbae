"""Whether a disk that is full, read-only or out of a person's share explains an error.

Writers in native code (safetensors, tokenizers, Arrow, zstd, PyTorch, SQLite, llama.cpp) raise classes of their own for
it, some without a reason. What counts is what the system said, where the error carries it, and otherwise what the disk
itself says. Not here: what is written, and who tells the person (store.py, and each command for its own files).
"""

import errno
import os
import re
import shutil
from pathlib import Path

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
NO_ROOM = 1 << 20  # bytes; less than any native writer's own buffers
_RUST = re.compile(r"\(os error (\d+)\)")
_WORDS = {
    errno.ENOSPC: ("No space left on device", "disk is full", "disk full"),
    errno.EROFS: ("Read-only file system", "readonly database"),
    errno.EDQUOT: ("Disk quota exceeded",),
}
_NATIVE = (
    "safetensors",
    "tokenizers",
    "pyarrow",
    "zstandard",
    "sqlite3",
    "sqlalchemy",
    "torch",
    "blocks.engines.llama_cpp",
    "PIL",
)
_WRITING = re.compile(r"writ|save|serializ|file|stream|quanti|i/o|disk", re.IGNORECASE)


def refusal(error: BaseException, folder: Path) -> str | None:
    """The disk's reason for ``error``, raised while something was written below ``folder``; None where it was not the
    disk."""
    if (reason := said(error, folder)) is not None:
        return reason
    if any(_native(one) for one in _chain(error)) and (number := state(folder)) is not None:
        return os.strerror(number)
    return None


def said(error: BaseException, folder: Path) -> str | None:
    """The reason for ``error`` where it says itself that the disk was it, with the file where that is not below
    ``folder``; else None."""
    for one in _chain(error):
        if (number := _number(one)) in REFUSED:
            return f"{os.strerror(number)}{_elsewhere(one, folder)}"
    return None


def state(folder: Path) -> int | None:
    """The errno with which the disk of ``folder`` refuses to be written to; None where it takes what is written."""
    probe = folder / ".probe"
    try:
        if shutil.disk_usage(folder).free < NO_ROOM:
            return errno.ENOSPC
        with probe.open("wb") as stream:
            stream.write(bytes(1 << 16))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return error.errno if error.errno in REFUSED else None
    finally:
        try:
            probe.unlink(missing_ok=True)
        except OSError:
            pass
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from or after."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _number(error: BaseException) -> int:
    """The errno that the error carries, as a number or in its words; 0 where it carries none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    if found := _RUST.search(text):
        return int(found[1])
    return next((number for number, words in _WORDS.items() if any(word in text for word in words)), 0)


def _native(error: BaseException) -> bool:
    """Whether a native writer, which keeps the reason to itself, may have raised the error."""
    if type(error).__module__.startswith(_NATIVE):
        return True
    return isinstance(error, OSError | RuntimeError | ValueError) and _WRITING.search(str(error)) is not None


def _elsewhere(error: BaseException, folder: Path) -> str:
    """The file that was refused, where it is not below the folder."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str | bytes | os.PathLike) or Path(os.fsdecode(name)).absolute().is_relative_to(
        folder.parent
    ):
        return ""
    return f" ({os.fsdecode(name)})"

"""Files that a command writes where a person said so: looked at before any work, and whole or not there at all.

Not here: records (tasks/data/plain/files.py) and artifacts (blocks/store.py).
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from blocks.storage import whole_files
from configs.errors import BadInput

_open_pipes: dict[
    Path, int
] = {}  # pipes, open until the command ends: closed after a look, their readers would take that for the end


def check_readable(path: Path) -> None:
    """Raise BadInput where there is no file of that name to read. A pipe or device is none: its rows would be gone
    after one look, or never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(mode):
        raise BadInput(
            f"{path}: {'a folder; name its files' if stat.S_ISDIR(mode) else 'a device, pipe or socket; name a file'}"
        )
    if not os.access(path, os.R_OK):
        raise BadInput(f"{path}: may not be read by this user; change its permissions")


def check_writable(path: Path) -> None:
    """Raise BadInput where no file of that name can be written; missing folders are made when it is."""
    if not str(path).isprintable():
        raise BadInput(f"{path}: a name with control characters in it; name another file to write")
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISFIFO(path.stat().st_mode) and path not in _open_pipes:
                _open_pipes[path] = os.open(
                    path, os.O_WRONLY | os.O_NONBLOCK
                )  # fails where nobody reads: a reader might never come
        there = path.is_dir()
        folder = next(one for one in path.absolute().parents if one.exists())
    except OSError as error:  # a name too long, a link to itself, a folder that nobody may look into
        raise BadInput(f"{path}: cannot be written ({error.strerror}); name another place") from None
    if there:
        raise BadInput(f"{path}: a folder; name a file to write")
    if not folder.is_dir():
        raise BadInput(f"{path}: cannot be written, {folder} is no folder; name another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{path}: cannot be written, nothing can be made in {folder}; name another place")


def write(path: Path, content: bytes) -> None:
    """Put ``content`` there, a link's target keeping its link; a device or pipe (``/dev/stdout``) is written to, never
    replaced.

    Raises:
        BadInput: it cannot be written.
    """
    check_writable(path)
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            _write_through(path, content)
        else:
            whole_files.replace(path.resolve(), content)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); name another place") from None


def _write_through(path: Path, content: bytes) -> None:
    """To a device or a pipe, without waiting for who reads it."""
    handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(content)

"""Where state lives: ``$COGUMI_HOME`` (default ``.cogumi``) and what is below it.

Not here: the artifact store itself (store.py).
"""

import os
import shutil
import stat
import uuid
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from blocks.cores import share_cores
from configs.errors import BadInput

NO_ROOM = 1 << 20  # bytes; less than a server's database grows by within seconds


def home() -> Path:
    """Return the absolute state folder, made if it is missing, then for its owner only.

    Raises:
        BadInput: the folder cannot be made or written to.
    """
    path = _named()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)  # what people asked, and what it cost, is its owner's
    except OSError as error:
        raise BadInput(
            f"cannot use {path} as state folder ({error.strerror}); set COGUMI_HOME to a writable folder"
        ) from None
    if not os.access(path, os.W_OK):
        raise BadInput(f"cannot write to the state folder {path}; set COGUMI_HOME to a writable folder")
    return path


def _named() -> Path:
    return absolute("COGUMI_HOME", os.environ.get("COGUMI_HOME") or ".cogumi")


def absolute(variable: str, named: str) -> Path:
    """The folder that an environment variable names, ``~`` resolved.

    Raises:
        BadInput: there is no such user, or it is not one line of text.
    """
    try:
        path = Path(named).expanduser().absolute()
    except RuntimeError:
        raise BadInput(f"{variable} {named!r} begins with a user who is not known here; write the folder out") from None
    if not str(path).isprintable():
        raise BadInput(
            f"{variable}: {ascii(str(path))[:300]} has a character that cannot be shown; name another folder"
        )
    return path


def private_folder(name: str) -> Path:
    """A folder of the state folder that nobody but its owner reads, made if it is missing."""
    path = home() / name
    path.mkdir(mode=0o700, exist_ok=True)
    keep_private(path)
    return path


def keep_private(path: Path) -> None:
    """Take from everybody but the owner what they may do with a file or folder that is there and ours; an older version
    left it open."""
    with suppress(OSError):
        found = path.lstat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077 and not stat.S_ISLNK(found.st_mode):
            path.chmod(found.st_mode & 0o700)


def private_opener(path: str, flags: int) -> int:
    """For ``open(…, opener=…)``: a file that is made is its owner's only, and one that is there becomes it."""
    keep_private(Path(path))
    return os.open(path, flags, 0o600)


def keep_database_private(path: Path) -> None:
    """Make a SQLite database of the state folder its owner's only, before it is opened: what SQLite makes beside it
    takes after it."""
    if not inside(path):
        return
    if not os.path.exists(path):
        _make_empty(path)
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        keep_private(one)


def _make_empty(path: Path) -> None:
    """An empty file for its owner only, unless something is there. It gets its name when it is closed: to close a file
    that SQLite has open in this process takes SQLite's locks from it, and the next other process to leave removes the
    log that this one still writes to."""
    made = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
    with suppress(OSError):  # whoever opens it says better what is wrong
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # another process made it just now
        except OSError:  # a file system without links
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        finally:
            made.unlink()


def inside(path: Path) -> bool:
    """Whether ``path`` lies in the state folder, and not where a person shares it with others."""
    return path.absolute().is_relative_to(_named())


def no_room() -> str:
    """What to add to the message of a fault that a full disk may have caused: nothing while there is room."""
    free = shutil.disk_usage(home()).free
    return (
        f"; the disk of {home()} is full ({free // 1024} kB left): make room there, or set COGUMI_HOME to another disk"
        if free < NO_ROOM
        else ""
    )


def json_lines() -> bool:
    """Whether log lines are asked for as JSON (log_lines.py): ``COGUMI_LOG=json``."""
    return os.environ.get("COGUMI_LOG") == "json"


def configure_prefect() -> None:
    """Point Prefect at the state folder; call before the first ``import prefect``. It is not made yet: help and plain
    files need none.

    A value that is already in the environment wins, so a worker or a test can say otherwise.
    """
    root = _named()
    defaults = {
        "PREFECT_HOME": str(root / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(root / "results"),
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",  # a phase's result must reach the process that dispatched it
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # 2 + 4 + 8 + 16 s: a server that starts again is awaited, one that is gone is told
        "PREFECT_CLIENT_MAX_RETRIES": "4",
        # off in the server by default, and a request per client to find that out
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "cogumi",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # a step may be called without a flow
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if "?" in (
        place := os.environ.get("PREFECT_HOME") or defaults["PREFECT_HOME"]
    ):  # Prefect puts it into a URL as it is, where it ends the path
        name = f"file:{quote(place)}/prefect.db?uri=true"
        defaults |= {"PREFECT_SERVER_DATABASE_DRIVER": "sqlite+aiosqlite", "PREFECT_SERVER_DATABASE_NAME": name}
    if json_lines():  # Prefect's console too, in this process and in the workers that it starts
        defaults |= {
            "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
            "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "blocks.prefect.log_lines.JsonLines",
            "PREFECT_LOGGING_COLORS": "false",
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    share_cores()
    warnings.filterwarnings(
        "ignore", message="Failed to create the Prefect home directory"
    )  # whatever needs the state folder makes it, or says why not

"""The login of a Prefect server of ours: the one that the environment names, else one made here and kept in
``$COGUMI_HOME/login``.

Whoever has it may run code where a worker is: a deployment may name any code. So the file is its owner's only, and the
login goes to processes by their environment, never by a command line. Not here: who may ask at all (guard.py).
"""

import os
import secrets
from pathlib import Path

from blocks.storage.home import home, keep_private
from blocks.storage.whole_files import replace
from configs.errors import BadInput

SERVER, CLIENT = (
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_AUTH_STRING",
)  # Prefect's own settings: what is asked for, and what is given


def given() -> str | None:
    """The login that the environment names.

    Raises:
        BadInput: the two settings of it differ, or it is none.
    """
    found = {name: value for name in (SERVER, CLIENT) if (value := os.environ.get(name))}
    for name, value in found.items():
        user, colon, password = value.partition(":")
        if not (user and colon and password and value.isascii() and value.isprintable()) or any(
            letter.isspace() for letter in value
        ):
            raise BadInput(f"{name} is no login; write user:password, in ASCII and without spaces")
    if len(set(found.values())) > 1:
        raise BadInput(
            f"{SERVER} and {CLIENT} differ, so nothing could log in here; set both to the same, or one of them"
        )
    return next(iter(found.values()), None)


def file() -> Path:
    """Where a login that was made here is kept."""
    return home() / "login"


def kept() -> str | None:
    """The login that was made here, None if none was."""
    try:
        keep_private(file())
        return file().read_text().strip() or None
    except OSError:
        return None


def made() -> str:
    """The environment's login, else the one that was made here, else a new one, kept from now on."""
    return given() or kept() or _make()


def random() -> str:
    """A login that nobody can guess."""
    return f"cogumi:{secrets.token_urlsafe(24)}"


def _make() -> str:
    login = random()
    replace(file(), f"{login}\n".encode(), mode=0o600)
    return login

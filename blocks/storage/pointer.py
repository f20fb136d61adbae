"""A pointer: one small file in the store that is replaced as a whole, by one process after the other.

A folder's file is locked and renamed into place. An S3 object is replaced only if it is still the one that was read
(conditional put); other remote stores have no such condition: let one machine at a time move a pointer there. Not here:
what it points at.
"""

from collections.abc import Callable
from pathlib import Path

from blocks.storage import objects, places, whole_files
from blocks.storage.locks import held
from configs.errors import BadInput, Transient

TRIES = 20
MOST_BYTES = 16 << 20


def read(name: str) -> bytes | None:
    """What the pointer ``name`` holds; None where it was never set."""
    return _read(name)[0]


def place(name: str) -> str:
    """Where the pointer lies."""
    return f"{places.location().rstrip('/')}/{name}"


def move(name: str, change: Callable[[bytes | None], bytes | None]) -> None:
    """Replace what the pointer holds by ``change`` of it, as one: nobody else's move is lost in between. None leaves it
    as it is.

    ``change`` is called again where somebody else was quicker.

    Raises:
        Transient: others move it all the time, or the store cannot be reached.
    """
    after: bytes | None = None
    with held(places.inside(places.scratch() / "locks") / name):
        for _ in range(TRIES):
            before, version = _read(name)
            if after is not None and before == after:
                return  # it was put there, and the answer that said so was lost
            after = change(before)
            if after is None or after == before or _replace(name, after, version):
                return
    raise Transient(f"{place(name)} is being changed all the time; try again")


def _read(name: str) -> tuple[bytes | None, str | None]:
    """The content, and its version where there is one."""
    try:
        if objects.is_remote(places.location()):
            return objects.read_version(place(name), MOST_BYTES)
        return objects.read_file(Path(place(name)), MOST_BYTES), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise BadInput(f"cannot read {place(name)}: {error.strerror}; see COGUMI_STORE and COGUMI_HOME") from None
    except ValueError as error:
        raise BadInput(f"cannot read {place(name)}: {error}; Cogumi wrote no such thing, remove it") from None


def _replace(name: str, content: bytes, version: str | None) -> bool:
    """Put ``content`` in place; False where somebody else did so since ``version`` was read."""
    if objects.is_remote(places.location()):
        return objects.swap(place(name), content, version)
    whole_files.replace(Path(place(name)), content)
    return True

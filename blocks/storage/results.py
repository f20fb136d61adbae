"""Results of steps and phases: small JSON records below ``results/`` in the artifact store, where every machine finds
them.

Prefect writes and reads them through :class:`StoreResults`, which needs nothing registered on the server and nothing
set on a worker but ``COGUMI_STORE``. A record is whole or not there; one that is not believed counts as not there.
Not here: what is in a record, and which are believed (result_records.py), and artifacts (store.py).
"""

import logging
import re
import shutil
from pathlib import Path
from typing import Any

from prefect.filesystems import WritableFileSystem
from pydantic import PrivateAttr

from blocks.storage import objects, places, result_records, whole_files
from configs.errors import BadInput, DamagedArtifact

log = logging.getLogger("cogumi.store")
_NAME = re.compile(r"[0-9A-Za-z_-]{1,200}")


def place() -> str:
    """The folder or URL of the records."""
    return f"{places.location()}/results"


def read(key: str) -> bytes | None:
    """The record ``key``, None if there is none that can be believed.

    Raises:
        Transient: the store cannot be reached.
    """
    path = _path(key)
    try:
        content = (
            objects.read(path, result_records.MOST_BYTES)
            if objects.is_remote(path)
            else objects.read_file(Path(path), result_records.MOST_BYTES)
        )
        result_records.value(content, key)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; see COGUMI_STORE and COGUMI_HOME") from None
    except ValueError as error:
        log.warning("%s is not believed: %s", path, error)
        return None
    return content


def write(key: str, content: bytes) -> None:
    """Keep ``content`` as record ``key``, whole or not at all."""
    path = _path(key)
    if objects.is_remote(path):
        objects.write(path, content)
    else:
        places.inside(Path(path).parent)
        if Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path)  # not ours, and in our way
        whole_files.replace(Path(path), content)


def value(key: str) -> Any:
    """The value in the record ``key``, as plain JSON data.

    Raises:
        DamagedArtifact: there is no such record that can be believed.
    """
    content = read(key)
    if content is None:
        raise DamagedArtifact(
            f"no result {_path(key)}; do the machines share one COGUMI_STORE? This one uses {places.location()}"
        )
    return result_records.value(content, key)


class StoreResults(WritableFileSystem):
    """The store as Prefect's result storage. ``expected`` holds records that were read a moment ago, for the step about
    to ask."""

    _block_type_name = "Cogumi store"
    _block_type_slug = "cogumi-store"
    _expected: dict[str, bytes] = PrivateAttr(default_factory=dict)

    def expect(self, key: str) -> bool:
        """Read the record ``key`` now; whether there is one. Here a store that cannot be reached is an error;
        Prefect would take it for a record that is not there, and run the step again.
        """
        content = read(key)
        if content is not None:
            self._expected[key] = content
        return content is not None

    def forget(self, key: str) -> None:
        """The step has asked."""
        self._expected.pop(key, None)

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override] # Prefect calls it both ways
        """The record at ``path``, as Prefect asks for it."""
        key = result_records.name(path)
        content = self._expected.get(key) or read(key)
        if content is None:
            raise ValueError(f"no result {key} in {place()}")
        return content

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> None:  # type: ignore[override]
        """Keep a record, as Prefect hands it over."""
        self.forget(result_records.name(path))
        write(path, result_records.whole(path, content))

    async def aread_path(self, path: str) -> bytes:
        """The same, awaited."""
        return self.read_path(path)

    async def awrite_path(self, path: str, content: bytes) -> None:
        """The same, awaited."""
        self.write_path(path, content)

    def _resolve_path(self, path: str) -> str:
        """What Prefect notes as a result's place: whole, so that it can be found without this class."""
        return f"{place()}/{path}" if path else place()


def _path(key: str) -> str:
    """``key`` is a record's name, or its place in this store or in the same store as another machine sees it."""
    named = result_records.name(key)
    if not _NAME.fullmatch(named):
        raise DamagedArtifact(f"{key!r} names no result; run again to make it anew")
    return f"{place()}/{named}"


RESULTS = StoreResults()

"""The artifact store: immutable, content-addressed folders with a manifest written last.

``create`` makes an artifact in a temporary folder and renames it into place; ``open`` gives its verified local files.
The store is a folder (default ``$COGUMI_HOME/store``) or any fsspec URL in ``COGUMI_STORE``, such as ``s3://bucket/prefix``
(there through remote.py). Not here: what a step caches (tasks/step.py), and deleting artifacts.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blocks import memory, objects
from blocks.errors import BadInput, CogumiError, DamagedArtifact
from blocks.home import home
from blocks.records import Artifact, Manifest
from configs.settings import Settings

MANIFEST = "manifest.json"
current_step: ContextVar[str] = ContextVar("current_step", default="")
_verified: dict[tuple[str, str], tuple[int, int]] = {}


class Folder:
    """An artifact in the making: write below ``path``, put numbers into ``metrics``, add what was paid to ``dollars``;
    ``artifact`` is there after the ``with`` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics: dict[str, float] = {}
        self.dollars = Decimal(0)
        self._artifact: Artifact | None = None

    @property
    def artifact(self) -> Artifact:
        """The finished reference; an error inside the block."""
        if self._artifact is None:
            raise CogumiError("the artifact is finished only when its with-block ends")
        return self._artifact


def location() -> str:
    """The store's URL or absolute folder."""
    place = os.environ.get("COGUMI_STORE") or str(home() / "store")
    place = place.removeprefix("file://")
    return place.rstrip("/") if objects.is_remote(place) else str(Path(place).expanduser().absolute())


def scratch() -> Path:
    """Where work in progress and locks are: beside the artifacts, on a remote store in this machine's state folder."""
    return home() if objects.is_remote(location()) else Path(location())


def ready() -> None:
    """Check that the store can be reached and this machine can write its work in progress, before any work begins.

    Raises:
        BadInput: it cannot be used like this.
        Transient: it cannot be reached.
    """
    new_work_folder().rmdir()
    if objects.is_remote(location()):
        objects.exists(f"{location()}/releases.json")


@contextmanager
def create(kind: str, *, parents: Sequence[Artifact] = (), settings: Settings | dict[str, Any] | None = None) -> Iterator[Folder]:
    """Make an artifact of ``kind`` from ``parents`` under ``settings``. On any error nothing stays behind.

    Raises:
        BadInput: the disk is full or read-only.
    """
    work = new_work_folder()
    started = time.monotonic()
    memory.reset_peak()
    try:
        lock = os.open(work / ".taking", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(work / ".taking", work / ".lock")  # held before anybody can find it: a sweeper takes a free one for a dead maker's
        content = work / "content"
        content.mkdir()
        folder = Folder(content)
        yield folder
        plain = settings.identity() if isinstance(settings, Settings) else settings
        manifest = Manifest(
            kind=kind,
            digest="",
            files=_hash_files(content),
            parents=tuple(parent.digest for parent in parents),
            settings=plain,
            step=current_step.get(),
            code_version=version("cogumi"),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - started, 3),
            peak_memory_bytes=memory.peak(),
            dollars=folder.dollars,
            metrics={name: float(value) for name, value in folder.metrics.items()},
        )
        manifest = manifest.model_copy(update={"digest": _digest(manifest)})
        folder._artifact = _publish(content, manifest)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES):
            raise BadInput(f"cannot write artifact {kind} under {location()}: {os.strerror(error.errno)}; free or remount the disk, or set COGUMI_STORE") from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if "lock" in locals():
            os.close(lock)


def open(artifact: Artifact) -> Path:
    """The local folder with the artifact's files, checked against the manifest. Read only: never write there.

    Raises:
        DamagedArtifact: a file is missing or differs from the manifest.
        Transient: the store cannot be reached.
    """
    here = _uri(artifact.kind, artifact.digest)
    places = [here, artifact.uri]  # a store may lie elsewhere on this machine than on the one that wrote the reference
    local = next((Path(place) for place in places if not objects.is_remote(place) and (Path(place) / MANIFEST).exists()), None)
    url = next((place for place in places if objects.is_remote(place)), None)
    if local is None and url is not None:
        from blocks import remote

        return remote.fetch(artifact, url)
    verify_folder(artifact, local or Path(here))
    return local or Path(here)


def is_there(artifact: Artifact) -> None:
    """Check that the artifact can be believed, without bringing it to this machine: a remote one by its files' lengths.

    Raises:
        DamagedArtifact, Transient: as in :func:`open`.
    """
    here = _uri(artifact.kind, artifact.digest)
    if not objects.is_remote(here):
        open(artifact)
        return
    from blocks import remote

    remote.check(artifact, here)


def verify(artifact: Artifact) -> Manifest:
    """Check every file's size and SHA-256; return the manifest.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    return manifest_in(open(artifact))


def manifest(artifact: Artifact) -> Manifest:
    """The artifact's manifest, after verification."""
    return verify(artifact)


def manifest_in(folder: Path) -> Manifest:
    """The manifest in a local artifact folder."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{folder}: no readable {MANIFEST} ({type(error).__name__}); delete the folder and run again") from None


def reference(found: Manifest, uri: str) -> Artifact:
    """The reference that points at ``found`` at ``uri``."""
    return Artifact(kind=found.kind, digest=found.digest, uri=uri, bytes=sum(size for _, size in found.files.values()), parents=found.parents, metrics=found.metrics)


def find(digest: str) -> Artifact:
    """The artifact whose digest (or its unambiguous beginning, with or without kind) is given.

    Raises:
        BadInput: none or several match.
    """
    matches = [entry for entry in everything() if entry.digest.startswith(digest) or f"{entry.kind}-{entry.digest}".startswith(digest)]
    if len(matches) != 1:
        raise BadInput(f"{len(matches)} artifacts match {digest!r} in {location()}; give more of the digest" if matches else f"no artifact matches {digest!r} in {location()}")
    return matches[0]


def everything() -> list[Artifact]:
    """All artifacts in the store, in no particular order."""
    if objects.is_remote(location()):
        from blocks import remote

        manifests = remote.manifests(location())
    else:
        manifests = [manifest_in(path.parent) for path in Path(location()).glob(f"*/*/{MANIFEST}")]
    return [reference(entry, _uri(entry.kind, entry.digest)) for entry in manifests]


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


def _uri(kind: str, digest: str) -> str:
    return f"{location()}/{kind}/{digest}"


def _publish(content: Path, made: Manifest) -> Artifact:
    """Manifest last, then into place. An equal artifact that is already there and whole is kept."""
    uri = _uri(made.kind, made.digest)
    artifact = reference(made, uri)
    if objects.is_remote(uri):
        from blocks import remote

        (content / MANIFEST).write_text(made.model_dump_json(indent=1))
        remote.publish(artifact, content)
        return artifact
    target = Path(uri)
    if target.exists():
        try:
            verify_folder(artifact, target)
            return reference(manifest_in(target), uri)
        except DamagedArtifact:
            shutil.rmtree(target)
    (content / MANIFEST).write_text(made.model_dump_json(indent=1))
    for path in [*content.rglob("*"), content]:
        _fsync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(content, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        verify_folder(artifact, target)  # another process published the same artifact in between
    _fsync(target.parent)
    return artifact


def verify_folder(artifact: Artifact, folder: Path) -> None:
    """Check every file of ``folder`` against its manifest, and the manifest against ``artifact``; files unchanged since the
    last check in this process are not read again.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    found = manifest_in(folder)
    if found.digest != artifact.digest or _digest(found) != artifact.digest:
        raise DamagedArtifact(f"{folder}: the manifest does not belong to {artifact.short}; delete the folder and run again")
    for name, (sha, size) in found.files.items():
        path = folder / name
        try:
            stat = path.stat()
        except OSError:
            raise DamagedArtifact(f"{path}: missing from {artifact.short}; delete {folder} and run again") from None
        signature = (stat.st_size, stat.st_mtime_ns)
        if _verified.get((str(path), sha)) == signature:
            continue
        if stat.st_size != size or _sha256(path) != sha:
            raise DamagedArtifact(f"{path}: differs from the manifest of {artifact.short}; delete {folder} and run again")
        _verified[(str(path), sha)] = signature


def _digest(made: Manifest) -> str:
    """Content address: kind, parents, settings and every file's hash; not when, how long or by which version."""
    content = {"kind": made.kind, "files": made.files, "parents": made.parents, "settings": made.settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hash_files(folder: Path) -> dict[str, tuple[str, int]]:
    return {str(path.relative_to(folder)): (_sha256(path), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The artifact store: immutable, content-addressed folders with a manifest written last.

``create`` makes an artifact in a temporary folder and renames it into place; ``open`` gives its verified local files.
The store is a folder (default ``$COGUMI_HOME/store``) or any fsspec URL in ``COGUMI_STORE``, such as ``s3://bucket/prefix``.
Not here: what a step caches (tasks/step.py), and deleting artifacts.
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

import fsspec

from blocks.errors import BadInput, CogumiError, DamagedArtifact, Transient
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
    return os.environ.get("COGUMI_STORE") or str(home() / "store")


@contextmanager
def create(kind: str, *, parents: Sequence[Artifact] = (), settings: Settings | dict[str, Any] | None = None) -> Iterator[Folder]:
    """Make an artifact of ``kind`` from ``parents`` under ``settings``. On any error nothing stays behind.

    Raises:
        BadInput: the disk is full or read-only.
    """
    work = _new_work_folder()
    started = time.monotonic()
    _reset_peak_memory()
    try:
        lock = os.open(work / ".lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
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
            peak_memory_bytes=_peak_memory(),
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
    """
    local = Path(artifact.uri)
    if "://" in artifact.uri:
        local = home() / "cache" / f"{artifact.kind}-{artifact.digest}"
        if not (local / MANIFEST).exists():
            _download(artifact, local)
    _verify_folder(artifact, local)
    return local


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
    fs, root = fsspec.core.url_to_fs(location())
    if not fs.exists(root):
        return []
    found = []
    for path in fs.glob(f"{root}/*/*/{MANIFEST}"):
        entry = Manifest.model_validate_json(fs.cat_file(path))
        found.append(reference(entry, _uri(entry.kind, entry.digest)))
    return found


def _new_work_folder() -> Path:
    """A fresh folder for work in progress, on the store's own disk where that is local; sweeps what dead processes left."""
    root = (home() if "://" in location() else Path(location())) / "tmp"
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
    return f"{location().rstrip('/')}/{kind}/{digest}"


def _publish(content: Path, made: Manifest) -> Artifact:
    """Manifest last, then into place. An equal artifact that is already there and whole is kept."""
    uri = _uri(made.kind, made.digest)
    text = made.model_dump_json(indent=1)
    if "://" in uri:
        fs, root = fsspec.core.url_to_fs(uri)
        try:
            if not fs.exists(f"{root}/{MANIFEST}"):
                fs.put(f"{content}/", f"{root}/", recursive=True)
                fs.pipe_file(f"{root}/{MANIFEST}", text.encode())
        except (OSError, TimeoutError) as error:
            raise Transient(f"cannot reach the artifact store {location()} ({type(error).__name__}); check the address and the network") from error
        return reference(made, uri)
    target = Path(uri)
    artifact = reference(made, uri)
    if target.exists():
        try:
            _verify_folder(artifact, target)
            return reference(manifest_in(target), uri)
        except DamagedArtifact:
            shutil.rmtree(target)
    (content / MANIFEST).write_text(text)
    for path in [*content.rglob("*"), content]:
        _fsync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(content, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _verify_folder(artifact, target)  # another process published the same artifact in between
    _fsync(target.parent)
    return artifact


def _download(artifact: Artifact, local: Path) -> None:
    """Bring a remote artifact into the local cache, whole or not at all."""
    fs, root = fsspec.core.url_to_fs(artifact.uri)
    work = _new_work_folder() / "content"
    try:
        fs.get(f"{root}/", f"{work}/", recursive=True)
    except FileNotFoundError:
        raise DamagedArtifact(f"{artifact.uri}: the artifact is gone; run again to rebuild it") from None
    except (OSError, TimeoutError) as error:
        raise Transient(f"cannot read {artifact.uri} ({type(error).__name__}); check the network") from error
    local.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(local, ignore_errors=True)
    os.rename(work, local)


def _verify_folder(artifact: Artifact, folder: Path) -> None:
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


def _reset_peak_memory() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak is then the process's own


def _peak_memory() -> int:
    """Peak resident bytes of this process since :func:`_reset_peak_memory`."""
    try:
        for line in Path("/proc/self/status").read_text().split("\n"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

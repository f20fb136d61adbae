"""The artifact store: immutable, content-addressed folders with a manifest written last.

``create`` makes an artifact in a temporary folder and renames it into place; ``open`` gives its verified local files.
Where the store lies: places.py; one that is not a folder here is reached through remote.py. Not here: an artifact's
folder as such (folders.py), what a step caches (tasks/step.py), and deleting artifacts.
"""

import errno
import fcntl
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from blocks.records import Artifact, Manifest
from blocks.storage import disk, objects, peak_memory, places, remote
from blocks.storage.folders import (
    MANIFEST,
    MOST_BYTES,
    digest_of,
    files_of,
    fsync,
    manifest_in,
    may_stay,
    parsed,
    reference,
    verify_content,
    verify_folder,
)
from blocks.storage.places import location, new_work_folder
from configs.errors import BadInput, CogumiError, DamagedArtifact
from configs.settings import Settings

log = logging.getLogger("cogumi.store")
current_step: ContextVar[str] = ContextVar("current_step", default="")
_since: ContextVar[list[float] | None] = ContextVar(
    "since", default=None
)  # when the work on the step's next artifact began


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


@contextmanager
def within_step(name: str) -> Iterator[None]:
    """The step whose artifacts are made in the block: the first took its time and memory from here on, each other one
    from the one before."""
    step, since = current_step.set(name), _since.set([time.monotonic()])
    peak_memory.reset_peak()
    try:
        yield
    finally:
        _since.reset(since)
        current_step.reset(step)


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
def create(
    kind: str, *, parents: Sequence[Artifact] = (), settings: Settings | dict[str, Any] | None = None
) -> Iterator[Folder]:
    """Make an artifact of ``kind`` from ``parents`` under ``settings``. On any error nothing stays behind.

    Raises:
        BadInput: the disk is full or read-only.
    """
    work = new_work_folder()
    since = _since.get()
    started = since[0] if since else time.monotonic()
    if not since:
        peak_memory.reset_peak()
    try:
        lock = os.open(work / ".taking", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(
            work / ".taking", work / ".lock"
        )  # held before anybody can find it: a sweeper takes a free one for a dead maker's
        content = work / "content"
        content.mkdir()
        folder = Folder(content)
        yield folder
        plain = settings.identity() if isinstance(settings, Settings) else settings
        manifest = Manifest(
            kind=kind,
            digest="0" * 64,  # until it is known what it covers
            files=files_of(content),
            parents=tuple(parent.digest for parent in parents),
            settings=plain,
            step=current_step.get(),
            code_version=version("cogumi"),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - started, 3),
            peak_memory_bytes=peak_memory.peak(),
            dollars=folder.dollars,
            metrics=_finite(kind, folder.metrics),
        )
        manifest = manifest.model_copy(update={"digest": digest_of(manifest)})
        folder._artifact = _publish(content, manifest)
        if since:
            since[0] = time.monotonic()
            peak_memory.reset_peak()
    except CogumiError:
        raise
    except Exception as error:
        if (reason := disk.refusal(error, work)) is None:
            raise
        advice = "free or remount the disk, or set COGUMI_STORE"
        raise BadInput(f"cannot write artifact {kind} under {location()}: {reason}; {advice}") from None
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
    folders = [Path(place) for place in _places(artifact) if not objects.is_remote(place)]
    local = next((folder for folder in folders if (folder / MANIFEST).exists()), None)
    if local is None and objects.is_remote(here):
        return remote.fetch(artifact, here)
    verify_folder(artifact, local or Path(here))
    return local or Path(here)


def _places(artifact: Artifact) -> list[str]:
    """Where the artifact may lie: a store may lie elsewhere on this machine than on the one that wrote the reference.
    Another store on the network is asked for nothing because a reference says so."""
    here = _uri(artifact.kind, artifact.digest)
    return [here, artifact.uri] if artifact.uri.endswith(f"/{artifact.kind}/{artifact.digest}") else [here]


def is_there(artifact: Artifact) -> None:
    """Check that the artifact can be believed, without bringing it to this machine: a remote one by its files' lengths.

    Raises:
        DamagedArtifact, Transient: as in :func:`open`.
    """
    here = _uri(artifact.kind, artifact.digest)
    if not objects.is_remote(here):
        open(artifact)
        return
    remote.check(artifact, here)


def here(artifact: Artifact) -> Artifact:
    """``artifact`` with the place where it lies now: a store may have moved since the reference was written."""
    place = next(
        (place for place in _places(artifact) if objects.is_remote(place) or (Path(place) / MANIFEST).exists()),
        artifact.uri,
    )
    return artifact.model_copy(update={"uri": place})


def verify(artifact: Artifact) -> Manifest:
    """Check every file's size and SHA-256; return the manifest.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    return manifest_in(open(artifact))


def manifest(artifact: Artifact) -> Manifest:
    """The artifact's manifest, after verification."""
    return verify(artifact)


def find(digest: str) -> Artifact:
    """The artifact whose digest (or its unambiguous beginning, with or without kind) is given.

    Raises:
        BadInput: none or several match.
    """
    matches = [
        entry
        for entry in everything()
        if entry.digest.startswith(digest) or f"{entry.kind}-{entry.digest}".startswith(digest)
    ]
    if len(matches) != 1:
        raise BadInput(
            f"{len(matches)} artifacts match {digest!r} in {location()}; give more of the digest"
            if matches
            else f"no artifact matches {digest!r} in {location()}"
        )
    return matches[0]


def everything() -> list[Artifact]:
    """All artifacts in the store, in no particular order. What cannot be read is left out, with a warning, and so is a
    manifest in a place that is not its own."""
    return [
        reference(entry, place) for place, entry in _manifests(location()) if place == _uri(entry.kind, entry.digest)
    ]


def _manifests(place: str) -> Iterator[tuple[str, Manifest]]:
    if objects.is_remote(place):
        yield from remote.manifests(place)
        return
    for path in Path(place).glob(f"*/*/{MANIFEST}"):
        try:
            yield str(path.parent), manifest_in(path.parent)
        except DamagedArtifact as damage:
            log.warning("%s", damage)


def _finite(kind: str, metrics: dict[str, float]) -> dict[str, float]:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise CogumiError(
                f"{kind}: its metric {name} is {float(value)}; what it was measured on is broken, look at the step "
                "before"
            )
    return {name: float(value) for name, value in metrics.items()}


def _uri(kind: str, digest: str) -> str:
    return f"{location()}/{kind}/{digest}"


def _publish(content: Path, made: Manifest) -> Artifact:
    """Manifest last, then into place. An equal artifact that is already there and whole is kept, and so is its
    manifest, unless it is doubted."""
    uri = _uri(made.kind, made.digest)
    written = made.model_dump_json(indent=1).encode()
    (content / MANIFEST).write_bytes(written)
    artifact = reference(parsed(written, uri), uri)
    if objects.is_remote(uri):
        return remote.publish(artifact, content)
    target = Path(uri)
    _keep_manifest(artifact, target, content / MANIFEST)
    artifact = reference(manifest_in(content), uri)
    for path in [*content.rglob("*"), content]:
        fsync(path)
    places.inside(target.parent).mkdir(parents=True, exist_ok=True)
    while True:
        try:
            verify_content(artifact, target)
        except DamagedArtifact:
            _remove(target)
        else:
            os.replace(content / MANIFEST, target / MANIFEST)
            break
        try:
            os.rename(content, target)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # otherwise another process published the same artifact in between
    fsync(target.parent)
    return artifact


def _keep_manifest(artifact: Artifact, target: Path, mine: Path) -> None:
    """Put the manifest in ``target`` in the place of ``mine`` where it may stand for it."""
    try:
        found = manifest_in(target)
        if may_stay(artifact, found):
            content = objects.read_file(target / MANIFEST, MOST_BYTES)
            mine.write_bytes(content)
    except (DamagedArtifact, FileNotFoundError, ValueError):
        pass


def _remove(target: Path) -> None:
    """Whatever stands in an artifact's place and is not the artifact."""
    if target.is_symlink() or not target.is_dir():
        target.unlink(missing_ok=True)
    else:
        shutil.rmtree(target)

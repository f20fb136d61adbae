"""Artifacts in a remote store: uploaded with the manifest last, downloaded into ``$COGUMI_HOME/cache`` and verified there.

A finished artifact is first put into the cache, whole, then sent. When the store cannot be reached inside a step, it stays
marked as unsent and ``send`` tries again, so that no finished work is lost to a broken connection.
Two writers of the same artifact put the same bytes under the same names. Not here: connections (objects.py).
"""

import logging
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path

from blocks import locks, objects
from blocks.folders import MANIFEST, parsed, verify_folder
from blocks.home import home
from blocks.places import new_work_folder
from blocks.records import Artifact, Manifest
from configs.errors import DamagedArtifact, Transient

log = logging.getLogger("cogumi.store")
may_wait: ContextVar[bool] = ContextVar("may_wait", default=False)
"""Whether an artifact that cannot be sent now may wait for :func:`send`: inside a step, which calls it at its end."""


def publish(artifact: Artifact, content: Path) -> None:
    """Move the finished folder ``content`` (with its manifest) to the cache and send it.

    Raises:
        Transient: the store cannot be reached, and nobody will call :func:`send`.
    """
    with _locked(artifact):
        if not _is_whole(artifact):
            objects.move(content, _cached(artifact))
    mark = _unsent() / f"{artifact.kind}-{artifact.digest}"
    objects.replace(mark, artifact.uri.encode())
    try:
        _send(artifact.uri, _cached(artifact))
        mark.unlink(missing_ok=True)
    except Transient as error:
        if not may_wait.get():
            raise
        log.warning("%s waits to be sent: %s", artifact.short, error)


def send() -> None:
    """Send what could not be sent when it was made.

    Raises:
        Transient: the store still cannot be reached; what is unsent stays so.
    """
    for mark in sorted(_unsent().glob("*-*")):
        _send(mark.read_text(), home() / "cache" / mark.name)
        mark.unlink(missing_ok=True)


def fetch(artifact: Artifact, url: str) -> Path:
    """The cached local folder of the artifact at ``url``, downloaded if it is not there, and verified.

    Raises:
        DamagedArtifact: it is gone, or what the store holds is not what the manifest says; then it is withdrawn from the store,
            so that the next run makes it again.
        Transient: the store cannot be reached.
    """
    local = _cached(artifact)
    with _locked(artifact):
        if _is_whole(artifact):
            return local
        if local.exists():
            log.warning("the cached copy of %s is damaged and is fetched again", artifact.short)
        for again in (True, False):
            work = new_work_folder()
            _download(artifact, url, work / "content")
            objects.move(work / "content", local)
            work.rmdir()
            try:
                verify_folder(artifact, local)
                return local
            except DamagedArtifact as error:
                if not again:
                    objects.remove(f"{url}/{MANIFEST}")
                    raise DamagedArtifact(f"{url}: damaged in the store ({error}); it was withdrawn, run again to rebuild it") from None
    raise AssertionError


def check(artifact: Artifact, url: str) -> None:
    """Check that the store holds a manifest and every file in full length.

    Raises:
        DamagedArtifact, Transient: as in :func:`fetch`.
    """
    expected, there = _manifest(artifact, url).files, objects.sizes(url)
    wrong = [name for name, (_, size) in expected.items() if there.get(name) != size]
    if wrong:
        raise DamagedArtifact(f"{url}: {wrong[0]} is missing or too short; run again to rebuild it")


def manifests(url: str) -> list[Manifest]:
    """Every manifest in the store at ``url``."""
    names = [name for name in objects.sizes(url) if name.count("/") == 2 and name.endswith(f"/{MANIFEST}")]
    return [manifest_of(content, f"{url}/{name.rpartition('/')[0]}") for name, content in objects.read_all(url, names).items()]


def manifest_of(content: bytes, url: str) -> Manifest:
    """The manifest of the artifact at ``url``.

    Raises:
        DamagedArtifact: it cannot be read.
        BadInput: a newer version of Cogumi wrote it.
    """
    try:
        return parsed(content, url)
    except ValueError:
        raise DamagedArtifact(f"{url}: its manifest cannot be read; run again to rebuild it") from None


def _cached(artifact: Artifact) -> Path:
    return home() / "cache" / f"{artifact.kind}-{artifact.digest}"


def _unsent() -> Path:
    return home() / "unsent"


def _locked(artifact: Artifact) -> AbstractContextManager[None]:
    return locks.held(home() / "locks" / f"cache-{artifact.kind}-{artifact.digest}")


def _is_whole(artifact: Artifact) -> bool:
    try:
        verify_folder(artifact, _cached(artifact))
    except DamagedArtifact:
        return False
    return True


def _send(url: str, folder: Path) -> None:
    """Upload files, check their lengths, then the manifest; nothing when the store has it whole already."""
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    there = objects.sizes(url)
    if MANIFEST in there and all(there.get(name) == (folder / name).stat().st_size for name in names):
        return
    if MANIFEST in there:
        objects.remove(f"{url}/{MANIFEST}")  # it names files that are not whole
    objects.upload(folder, names, url)
    objects.write(f"{url}/{MANIFEST}", (folder / MANIFEST).read_bytes())


def _download(artifact: Artifact, url: str, folder: Path) -> None:
    manifest = _manifest(artifact, url)
    folder.mkdir()
    try:
        objects.download(url, list(manifest.files), folder)
    except FileNotFoundError as error:
        raise DamagedArtifact(f"{url}: {error.args[0] if error.args else 'a file'} is gone; run again to rebuild it") from None
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1))


def _manifest(artifact: Artifact, url: str) -> Manifest:
    try:
        return manifest_of(objects.read(f"{url}/{MANIFEST}"), url)
    except FileNotFoundError:
        raise DamagedArtifact(f"{url}: the artifact is gone; run again to rebuild it") from None

"""Artifacts in a remote store: uploaded with the manifest last, downloaded into ``$COGUMI_HOME/cache`` and verified
there.

A finished artifact is first put into the cache, whole, then sent. When the store cannot be reached inside a step, it
stays marked as unsent and ``send`` tries again, so that no finished work is lost to a broken connection.
Two writers of the same artifact put the same bytes under the same names. Not here: connections (objects.py).
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path

from blocks.records import Artifact, Manifest
from blocks.storage import locks, objects, whole_files
from blocks.storage.folders import (
    MANIFEST,
    MOST_BYTES,
    manifest_in,
    may_stay,
    parsed,
    reference,
    verify_content,
    verify_folder,
    verify_manifest,
)
from blocks.storage.home import home
from blocks.storage.places import new_work_folder
from configs.errors import BadInput, DamagedArtifact, Transient

log = logging.getLogger("cogumi.store")
TRIES = 5  # of putting a manifest where others put and remove theirs
may_wait: ContextVar[bool] = ContextVar("may_wait", default=False)
"""Whether an artifact that cannot be sent now may wait for :func:`send`: inside a step, which calls it at its end."""


def publish(artifact: Artifact, content: Path) -> Artifact:
    """Move the finished folder ``content`` (with its manifest) to the cache and send it; the reference to what the
    store then holds.

    Raises:
        Transient: the store cannot be reached, and nobody will call :func:`send`.
    """
    local = _cached(artifact)
    with _locked(artifact):
        if not (_is_whole(artifact, local, verify_content) and may_stay(artifact, manifest_in(local))):
            objects.move(content, local)
    mark = _unsent() / f"{artifact.kind}-{artifact.digest}"
    whole_files.replace(mark, artifact.uri.encode())
    try:
        _send(artifact, artifact.uri, local)
        mark.unlink(missing_ok=True)
    except Transient as error:
        if not may_wait.get():
            raise
        log.warning("%s waits to be sent: %s", artifact.short, error)
    return reference(manifest_in(local), artifact.uri)


def send() -> None:
    """Send what could not be sent when it was made.

    Raises:
        Transient: the store still cannot be reached; what is unsent stays so.
    """
    for mark in sorted(_unsent().glob("*-*")):
        local, url = home() / "cache" / mark.name, mark.read_text()
        try:
            artifact = reference(manifest_in(local), url)
            verify_content(artifact, local)
        except DamagedArtifact as damage:
            log.warning("%s is not sent: %s", mark.name, damage)
        else:
            _send(artifact, url, local)
        mark.unlink(missing_ok=True)


def fetch(artifact: Artifact, url: str) -> Path:
    """The cached local folder of the artifact at ``url``, downloaded if it is not there, and verified. The manifest is
    checked before anything that it names is fetched, and each file's length before that file.

    Raises:
        DamagedArtifact: it is gone, or what the store holds is not what the manifest says; then it is withdrawn from
            the store, so that the next run makes it again.
        BadInput: it has no room on this machine.
        Transient: the store cannot be reached.
    """
    local = _cached(artifact)
    with _locked(artifact):
        if _is_whole(artifact, local):
            return local
        manifest, content = _manifest(artifact, url)
        if _is_whole(artifact, local, verify_content):
            whole_files.replace(
                local / MANIFEST, content
            )  # of the same content made twice, this is the one that is referred to
            return local
        if local.exists():
            log.warning("the cached copy of %s is damaged and is fetched again", artifact.short)
        _check_sizes(manifest, url)
        for again in (True, False):
            work = new_work_folder()
            try:
                _download(manifest, url, work / "content")
                (work / "content" / MANIFEST).write_bytes(content)
                objects.move(work / "content", local)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            try:
                verify_folder(artifact, local)
                return local
            except DamagedArtifact as error:
                if not again:
                    objects.remove(f"{url}/{MANIFEST}")
                    raise DamagedArtifact(
                        f"{url}: damaged in the store ({error}); it was withdrawn, run again to rebuild it"
                    ) from None
    raise AssertionError


def check(artifact: Artifact, url: str) -> None:
    """Check that the store holds the artifact's manifest and every file in full length.

    Raises:
        DamagedArtifact, Transient: as in :func:`fetch`.
    """
    _check_sizes(_manifest(artifact, url)[0], url)


def manifests(url: str) -> Iterator[tuple[str, Manifest]]:
    """Every manifest in the store at ``url`` that can be read, and where it lies."""
    names = [
        name
        for name, size in objects.sizes(url).items()
        if name.count("/") == 2 and name.endswith(f"/{MANIFEST}") and size <= MOST_BYTES
    ]
    for name, content in objects.read_all(
        url, [name for name in names if name.isprintable() and not set(name) & set("*?[]{}")]
    ).items():
        place = f"{url}/{name.rpartition('/')[0]}"
        try:
            yield place, manifest_of(content, place)
        except DamagedArtifact as damage:
            log.warning("%s", damage)


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


def _is_whole(artifact: Artifact, folder: Path, verify: Callable[[Artifact, Path], object] = verify_folder) -> bool:
    try:
        verify(artifact, folder)
    except DamagedArtifact:
        return False
    return True


def _send(artifact: Artifact, url: str, folder: Path) -> None:
    """Upload files, check their lengths, then the manifest. Nothing when the store has it whole already; then the copy
    in ``folder`` takes the manifest that is there.

    Raises:
        Transient: the store cannot be reached, or others write the same all the time.
    """
    content = (folder / MANIFEST).read_bytes()
    mine = parsed(content, str(folder))
    uploaded = False
    for _ in range(TRIES):
        there = objects.sizes(url)
        if MANIFEST in there:
            whole = all(there.get(name) == size for name, (_, size) in mine.files.items())
            theirs = _theirs(artifact, url) if whole else None
            if theirs is not None:
                if theirs != content:
                    whole_files.replace(folder / MANIFEST, theirs)
                return
            objects.remove(f"{url}/{MANIFEST}")  # it names files that are not whole, or says what nobody should believe
        if (
            not uploaded
        ):  # also what is there in full length: without a manifest that can be believed nobody has read it
            objects.upload(folder, list(mine.files), url)
            uploaded = True
        if objects.swap(f"{url}/{MANIFEST}", content, None):
            return
    raise Transient(f"{url}: others write it all the time; run again")


def _theirs(artifact: Artifact, url: str) -> bytes | None:
    """The manifest that is in the store, where it may stand for ``artifact``."""
    try:
        content = objects.read(f"{url}/{MANIFEST}", MOST_BYTES)
        return content if may_stay(artifact, manifest_of(content, url)) else None
    except (FileNotFoundError, objects.Oversized, DamagedArtifact):
        return None


def _check_sizes(manifest: Manifest, url: str) -> None:
    there = objects.sizes(url)
    wrong = [name for name, (_, size) in manifest.files.items() if there.get(name) != size]
    if wrong:
        raise DamagedArtifact(f"{url}: {wrong[0]} is gone, or not of its length; run again to rebuild it")


def _download(manifest: Manifest, url: str, folder: Path) -> None:
    sizes = {name: size for name, (_, size) in manifest.files.items()}
    folder.mkdir()
    if (free := shutil.disk_usage(folder).free) < sum(sizes.values()):
        raise BadInput(
            f"{url} has {sum(sizes.values()):,} bytes, and the disk of {home()} {free:,} left: make room there, or set "
            "COGUMI_HOME to another disk"
        )
    try:
        objects.download(url, sizes, folder)
    except FileNotFoundError as error:
        raise DamagedArtifact(
            f"{url}: {error.args[0] if error.args else 'a file'} is gone; run again to rebuild it"
        ) from None
    except objects.Oversized as error:
        raise DamagedArtifact(f"{url}: {error}; run again to rebuild it") from None


def _manifest(artifact: Artifact, url: str) -> tuple[Manifest, bytes]:
    """The manifest that the reference means, and its bytes."""
    try:
        content = objects.read(f"{url}/{MANIFEST}", MOST_BYTES)
    except FileNotFoundError:
        raise DamagedArtifact(f"{url}: the artifact is gone; run again to rebuild it") from None
    except objects.Oversized as error:
        raise DamagedArtifact(f"{url}: its manifest cannot be read ({error}); run again to rebuild it") from None
    found = manifest_of(content, url)
    verify_manifest(artifact, found, url)
    return found, content

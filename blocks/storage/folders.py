"""An artifact as a folder on this machine: its manifest, its files' hashes, its content address.

What is protected against whom: whoever can write to the store can put a whole forged artifact there, under a digest of
its own, and a forged record of a step that names it. Under a digest that somebody holds only what it was made for is
read: it covers kind, parents, settings and every file. A reference also holds the metrics and the SHA-256 of the
account: step, metrics and dollars, which gates and bills read. By a reference nothing is fetched or read that these do
not cover, but for what the making took in seconds and memory, and when: that is told in reports and decides nothing. Of
an artifact's ancestors only the digests are bound. Links, and files that the manifest does not list, are damage.
References from before there was an account bind the digest and the metrics.
Not here: how it gets into the store and out of it (store.py, remote.py).
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path

from pydantic import ValidationError

from blocks.records import Artifact, Manifest, unknown_fields
from blocks.storage import objects
from configs.errors import BadInput, CogumiError, DamagedArtifact

MANIFEST = "manifest.json"
MOST_BYTES = 16 << 20  # of a manifest
_HALF = re.compile(r"\.manifest\.json\.[0-9a-f]{32}")  # one that is being replaced, or whose writer died meanwhile
_verified: dict[tuple[str, str], tuple[int, ...]] = {}
doubted: ContextVar[Mapping[str, Artifact]] = ContextVar("doubted", default={})  # noqa: B039 - never changed
"""References by digest, while a step is made again because what is in the store was not what they say: a manifest there
that they do not fit is replaced. Any other manifest of the same artifact is kept, so that references to it stay
right."""


def manifest_in(folder: Path) -> Manifest:
    """The manifest in a local artifact folder.

    Raises:
        DamagedArtifact: it cannot be read.
        BadInput: as :func:`parsed`.
    """
    if folder.is_symlink():
        raise DamagedArtifact(f"{folder}: a link, which an artifact's folder never is; delete it and run again")
    try:
        return parsed(objects.read_file(folder / MANIFEST, MOST_BYTES), str(folder))
    except (OSError, ValueError) as error:
        raise DamagedArtifact(
            f"{folder}: no readable {MANIFEST} ({type(error).__name__}); delete the folder and run again"
        ) from None


def parsed(content: bytes, place: str) -> Manifest:
    """The manifest that stands at ``place``.

    Raises:
        BadInput: a newer version of Cogumi wrote it; what it made is not damaged and must not be made again.
        ValueError: it cannot be read.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        if unknown := unknown_fields(error):
            raise BadInput(
                f"{place} was made by a newer version of Cogumi (its {MANIFEST} has {unknown}); update this one, or "
                "set COGUMI_HOME or COGUMI_STORE to another place"
            ) from None
        raise


def reference(found: Manifest, uri: str) -> Artifact:
    """The reference that points at ``found`` at ``uri``."""
    size = sum(size for _, size in found.files.values())
    return Artifact(
        kind=found.kind,
        digest=found.digest,
        uri=uri,
        bytes=size,
        parents=found.parents,
        metrics=found.metrics,
        account=account_of(found),
    )


def verify_manifest(artifact: Artifact, found: Manifest, place: str) -> None:
    """Check that ``found``, at ``place``, is the manifest that ``artifact`` refers to, in what its digest covers and in
    its account.

    Raises:
        DamagedArtifact: it is not.
    """
    _verify_digest(artifact, found, place)
    if artifact != reference(found, artifact.uri) or artifact.account not in {None, account_of(found)}:
        raise DamagedArtifact(
            f"{place}: the manifest of {artifact.short} was changed since it was made; run the step that makes it again"
        )


def _verify_digest(artifact: Artifact, found: Manifest, place: str) -> None:
    if found.kind != artifact.kind or found.digest != artifact.digest or digest_of(found) != artifact.digest:
        raise DamagedArtifact(
            f"{place}: the manifest does not belong to {artifact.short}; delete the folder and run again"
        )


def may_stay(artifact: Artifact, found: Manifest) -> bool:
    """Whether the manifest ``found`` in the store may stand for ``artifact``, which was just made: it is of the same
    content, and nobody doubts it."""
    try:
        _verify_digest(artifact, found, "")
        if (held := doubted.get().get(artifact.digest)) is not None:
            verify_manifest(held, found, "")
    except DamagedArtifact:
        return False
    return True


def verify_folder(artifact: Artifact, folder: Path) -> None:
    """Check the manifest of ``folder`` against ``artifact``, and every file against its manifest; files unchanged since
    the last check in this process are not read again.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    found = manifest_in(folder)
    verify_manifest(artifact, found, str(folder))
    _verify_files(artifact, found, folder)


def verify_content(artifact: Artifact, folder: Path) -> Manifest:
    """Check what the digest covers: the folder's files and what they were made of. The rest of the manifest may be that
    of another who made the same.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    found = manifest_in(folder)
    _verify_digest(artifact, found, str(folder))
    _verify_files(artifact, found, folder)
    return found


def _verify_files(artifact: Artifact, found: Manifest, folder: Path) -> None:
    there: dict[str, os.stat_result] = {}
    for name, path in _entries(folder):
        with suppress(
            FileNotFoundError
        ):  # a manifest's other half, or a file that another process removes: then it is missed below
            there[name] = path.lstat()
    for name, entry in there.items():
        if not stat.S_ISREG(entry.st_mode):
            raise DamagedArtifact(f"{folder / name}: no plain file, as an artifact has; delete {folder} and run again")
        if name != MANIFEST and name not in found.files and not _HALF.fullmatch(name):
            raise DamagedArtifact(f"{folder / name}: not in the manifest of {artifact.short}; delete the file")
    for name, (sha, size) in found.files.items():
        path, state = folder / name, there.get(name)
        if state is None:
            raise DamagedArtifact(f"{path}: missing from {artifact.short}; delete {folder} and run again")
        signature = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        if _verified.get((str(path), sha)) == signature:
            continue
        try:
            same = state.st_size == size and _sha256(path) == sha
        except OSError as error:
            raise DamagedArtifact(f"{path}: cannot be read ({error.strerror}); delete {folder} and run again") from None
        if not same:
            raise DamagedArtifact(
                f"{path}: differs from the manifest of {artifact.short}; delete {folder} and run again"
            )
        _verified[(str(path), sha)] = signature


def digest_of(made: Manifest) -> str:
    """Content address: kind, parents, settings and every file's hash; not when, how long or by which version."""
    content = {"kind": made.kind, "files": made.files, "parents": made.parents, "settings": made.settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def account_of(made: Manifest) -> str:
    """What gates and bills read and the digest does not cover: the step, its metrics, what it paid."""
    content = {"step": made.step, "metrics": made.metrics, "dollars": str(made.dollars)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def files_of(folder: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and bytes of every file below ``folder``, by its relative name.

    Raises:
        CogumiError: something there is no plain file.
    """
    found = dict(sorted(_entries(folder)))
    if odd := [name for name, path in found.items() if not stat.S_ISREG(path.lstat().st_mode)]:
        raise CogumiError(f"{odd[0]} is no plain file; an artifact holds nothing else, copy what the link leads to")
    return {name: (_sha256(path), path.stat().st_size) for name, path in found.items()}


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything below ``folder`` but folders, by its relative name; no link is followed."""
    for above, inner, files in os.walk(folder, onerror=_unreadable):
        for entry in (*files, *(name for name in inner if os.path.islink(os.path.join(above, name)))):
            path = Path(above, entry)
            yield str(path.relative_to(folder)), path


def _unreadable(error: OSError) -> None:
    raise DamagedArtifact(f"{error.filename}: cannot be read ({error.strerror}); delete the folder and run again")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

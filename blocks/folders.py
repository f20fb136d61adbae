"""An artifact as a folder on this machine: its manifest, its files' hashes, its content address.

Not here: how it gets into the store and out of it (store.py, remote.py).
"""

import hashlib
import json
import os
from pathlib import Path

from pydantic import ValidationError

from blocks.records import Artifact, Manifest, unknown_fields
from configs.errors import BadInput, DamagedArtifact

MANIFEST = "manifest.json"
_verified: dict[tuple[str, str], tuple[int, int]] = {}


def manifest_in(folder: Path) -> Manifest:
    """The manifest in a local artifact folder.

    Raises:
        DamagedArtifact: it cannot be read.
        BadInput: as :func:`parsed`.
    """
    try:
        return parsed((folder / MANIFEST).read_bytes(), str(folder))
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{folder}: no readable {MANIFEST} ({type(error).__name__}); delete the folder and run again") from None


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
                f"{place} was made by a newer version of Cogumi (its {MANIFEST} has {unknown}); update this one, or set COGUMI_HOME or COGUMI_STORE to another place"
            ) from None
        raise


def reference(found: Manifest, uri: str) -> Artifact:
    """The reference that points at ``found`` at ``uri``."""
    return Artifact(kind=found.kind, digest=found.digest, uri=uri, bytes=sum(size for _, size in found.files.values()), parents=found.parents, metrics=found.metrics)


def verify_folder(artifact: Artifact, folder: Path) -> None:
    """Check every file of ``folder`` against its manifest, and the manifest against ``artifact``; files unchanged since the
    last check in this process are not read again.

    Raises:
        DamagedArtifact: as in :func:`open`.
    """
    found = manifest_in(folder)
    if found.digest != artifact.digest or digest_of(found) != artifact.digest:
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


def digest_of(made: Manifest) -> str:
    """Content address: kind, parents, settings and every file's hash; not when, how long or by which version."""
    content = {"kind": made.kind, "files": made.files, "parents": made.parents, "settings": made.settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def files_of(folder: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and bytes of every file below ``folder``, by its relative name."""
    return {str(path.relative_to(folder)): (_sha256(path), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()}


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

"""Where an artifact comes from and what was made of it: the manifests of its ancestors and descendants.

Not here: single rows and teacher calls (provenance.py).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from blocks.records import Artifact, Manifest
from blocks.storage import folders, objects, places, remote
from configs.errors import DamagedArtifact

_PLACE = re.compile(rf"[0-9A-Za-z_-]+/[0-9a-f]{{64}}/{re.escape(folders.MANIFEST)}")


class Graph:
    """Every manifest of the store, read once, linked both ways."""

    def __init__(self) -> None:
        self._folders = _folders()
        self.manifests = _manifests(self._folders)
        self.children: dict[str, list[str]] = {}
        for digest, manifest in self.manifests.items():
            for parent in dict.fromkeys(manifest.parents):
                self.children.setdefault(parent, []).append(digest)

    def above(self, digests: Iterable[str]) -> list[Manifest]:
        """The manifests of ``digests`` and of all they were made of, each once, parents before children; what is gone
        is left out."""
        found: dict[str, Manifest] = {}

        def visit(digest: str) -> None:
            manifest = self.manifests.get(digest)
            if manifest is None or digest in found:
                return
            for parent in manifest.parents:
                visit(parent)
            found[digest] = manifest

        for digest in digests:
            visit(digest)
        return list(found.values())

    def below(self, digests: Iterable[str]) -> list[Manifest]:
        """The manifests of all that was made of ``digests``, these not included, oldest first."""
        found: dict[str, Manifest] = {}
        waiting = list(digests)
        start = set(waiting)
        while waiting:
            for child in self.children.get(waiting.pop(), []):
                if child not in found and child not in start:
                    found[child] = self.manifests[child]
                    waiting.append(child)
        return sorted(found.values(), key=lambda one: (one.created, one.digest))

    def read(self, digest: str, name: str) -> bytes:
        """The file ``name`` of an artifact; empty where it is gone, or is not what the manifest says."""
        path, (sha, size) = f"{self._folders[digest]}/{name}", self.manifests[digest].files[name]
        try:
            content = objects.read(path, size) if objects.is_remote(path) else objects.read_file(Path(path), size)
        except (FileNotFoundError, ValueError):
            return b""
        return content if hashlib.sha256(content).hexdigest() == sha else b""


def ancestors(artifacts: Sequence[Artifact]) -> list[Manifest]:
    """The manifests of the artifacts and of everything they were made of, each once, parents before children.

    Raises:
        DamagedArtifact: a manifest is missing from the store.
    """
    there = _folders()
    found: dict[str, Manifest] = {}

    def visit(digest: str) -> None:
        if digest in found:
            return
        if digest not in there:
            raise DamagedArtifact(f"no artifact {digest[:12]} in {places.location()}; run again to rebuild it")
        manifest = _manifests({digest: there[digest]})[digest]
        for parent in manifest.parents:
            visit(parent)
        found[digest] = manifest

    for artifact in artifacts:
        visit(artifact.digest)
    return list(found.values())


def _folders() -> dict[str, str]:
    """Digest → the folder, or its URL, of everything in the store that has a manifest."""
    place = places.location()
    if objects.is_remote(place):
        found = [name for name, size in objects.sizes(place).items() if size <= folders.MOST_BYTES]
    else:
        found = [str(path.relative_to(place)) for path in sorted(Path(place).glob(f"*/*/{folders.MANIFEST}"))]
    return {name.split("/")[1]: f"{place}/{name.rpartition('/')[0]}" for name in found if _PLACE.fullmatch(name)}


def _manifests(there: Mapping[str, str]) -> dict[str, Manifest]:
    """The manifests in the folders ``there``.

    Raises:
        DamagedArtifact: one cannot be read.
        BadInput, Transient: the store cannot be used or reached.
    """
    if not objects.is_remote(places.location()):
        manifests = {digest: folders.manifest_in(Path(folder)) for digest, folder in there.items()}
    else:
        names = [f"{folder.removeprefix(places.location())[1:]}/{folders.MANIFEST}" for folder in there.values()]
        found = {name.split("/")[1]: content for name, content in objects.read_all(places.location(), names).items()}
        manifests = {digest: remote.manifest_of(found[digest], there[digest]) for digest in there if digest in found}
    if wrong := [
        digest
        for digest, manifest in manifests.items()
        if folders.digest_of(manifest) != digest or manifest.digest != digest
    ]:
        raise DamagedArtifact(
            f"{there[wrong[0]]}: the manifest there is another artifact's; delete the folder and run again"
        )
    return manifests

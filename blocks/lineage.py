"""Where an artifact comes from and what was made of it: the manifests of its ancestors and descendants.

Not here: single rows and teacher calls (provenance.py).
"""

from collections.abc import Iterable, Sequence

import fsspec

from blocks import folders, places
from blocks.records import Artifact, Manifest
from configs.errors import DamagedArtifact


class Graph:
    """Every manifest of the store, read once, linked both ways."""

    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}
        self._addresses = _addresses()
        for digest, (fs, path) in self._addresses.items():
            self.manifests[digest] = Manifest.model_validate_json(fs.cat_file(path))
        self.children: dict[str, list[str]] = {}
        for digest, manifest in self.manifests.items():
            for parent in dict.fromkeys(manifest.parents):
                self.children.setdefault(parent, []).append(digest)

    def above(self, digests: Iterable[str]) -> list[Manifest]:
        """The manifests of ``digests`` and of all they were made of, each once, parents before children; what is gone is left out."""
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
        """The file ``name`` of an artifact, unchecked; empty where it is gone."""
        fs, path = self._addresses[digest]
        try:
            return bytes(fs.cat_file(f"{path.removesuffix(folders.MANIFEST)}{name}"))
        except FileNotFoundError:
            return b""


def ancestors(artifacts: Sequence[Artifact]) -> list[Manifest]:
    """The manifests of the artifacts and of everything they were made of, each once, parents before children.

    Raises:
        DamagedArtifact: a manifest is missing from the store.
    """
    addresses = _addresses()
    found: dict[str, Manifest] = {}

    def visit(digest: str) -> None:
        if digest in found:
            return
        if digest not in addresses:
            raise DamagedArtifact(f"no artifact {digest[:12]} in {places.location()}; run again to rebuild it")
        fs, path = addresses[digest]
        manifest = Manifest.model_validate_json(fs.cat_file(path))
        for parent in manifest.parents:
            visit(parent)
        found[digest] = manifest

    for artifact in artifacts:
        visit(artifact.digest)
    return list(found.values())


def _addresses() -> dict[str, tuple[fsspec.AbstractFileSystem, str]]:
    """Digest → where its manifest lies."""
    fs, root = fsspec.core.url_to_fs(places.location())
    return {path.split("/")[-2]: (fs, path) for path in fs.glob(f"{root}/*/*/{folders.MANIFEST}")}

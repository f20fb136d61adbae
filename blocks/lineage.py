"""Where an artifact comes from: the manifests of everything it was made of.

Not here: single rows and teacher calls; rows carry their own (records.Example.lineage).
"""

from collections.abc import Sequence

import fsspec

from blocks import store
from blocks.errors import DamagedArtifact
from blocks.records import Artifact, Manifest


def ancestors(artifacts: Sequence[Artifact]) -> list[Manifest]:
    """The manifests of the artifacts and of everything they were made of, each once, parents before children.

    Raises:
        DamagedArtifact: a manifest is missing from the store.
    """
    places = _places()
    found: dict[str, Manifest] = {}

    def visit(digest: str) -> None:
        if digest in found:
            return
        if digest not in places:
            raise DamagedArtifact(f"no artifact {digest[:12]} in {store.location()}; run again to rebuild it")
        fs, path = places[digest]
        manifest = Manifest.model_validate_json(fs.cat_file(path))
        for parent in manifest.parents:
            visit(parent)
        found[digest] = manifest

    for artifact in artifacts:
        visit(artifact.digest)
    return list(found.values())


def _places() -> dict[str, tuple[fsspec.AbstractFileSystem, str]]:
    """Digest → where its manifest lies."""
    fs, root = fsspec.core.url_to_fs(store.location())
    return {path.split("/")[-2]: (fs, path) for path in fs.glob(f"{root}/*/*/{store.MANIFEST}")}

"""Artifacts to make, and what others do to them behind the store's back."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from blocks import store
from blocks.records import Artifact
from blocks.storage import objects, places, whole_files

SHA = hashlib.sha256(b"hello").hexdigest()  # of what `make` writes


def make(text: str = "hello", parents: tuple[Artifact, ...] = (), **settings: object) -> Artifact:
    with store.create("thing", parents=parents, settings=settings) as folder:
        (folder.path / "sub").mkdir()
        (folder.path / "sub" / "a.txt").write_text(text)
        folder.metrics["length"] = len(text)
    return folder.artifact


def leftovers() -> list[Path]:
    return list((places.scratch() / "tmp").iterdir())


def change(made: Artifact, name: str, content: bytes | None) -> None:
    """Overwrite or delete one file of an artifact where it is kept, behind the store's back; this machine has no
    copy."""
    import fsspec

    fs, path = fsspec.core.url_to_fs(f"{made.uri}/{name}")
    if content is None:
        fs.rm_file(path)
    else:
        fs.pipe_file(path, content)
    if "://" in made.uri:
        forget(made)


def forget(made: Artifact) -> None:
    """This machine's copy of a remote artifact is gone."""
    shutil.rmtree(places.scratch() / "cache" / f"{made.kind}-{made.digest}", ignore_errors=True)


def raw(made: Artifact) -> dict[str, Any]:
    """The manifest as it is in the store."""
    content: dict[str, Any] = json.loads(
        objects.read(f"{made.uri}/manifest.json", 1 << 20)
        if "://" in made.uri
        else (Path(made.uri) / "manifest.json").read_bytes()
    )
    return content


def put(place: str, content: bytes) -> None:
    if "://" in place:
        objects.write(place, content)
    else:
        whole_files.replace(Path(place), content)

"""Rows of a source, streamed by ``datasets`` from the hub or from local files, and the revision they are of.

Not here: what a row means (the adapters).
"""

import glob
import hashlib
import logging
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from configs.errors import BadInput, Transient
from tasks.data.collect.pair import Row
from tasks.data.collect.sources import Source

log = logging.getLogger("cogumi.data")
_BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}


def rows(source: Source, files: Iterable[str]) -> Iterator[Row]:
    """The rows, in their order; ``files`` (glob patterns) are read instead of the hub where there are any.

    Raises:
        BadInput: a pattern matches nothing, a file is of no known kind or damaged, or the hub does not know the set.
        Transient: the hub cannot be reached.
    """
    import httpx
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    local = local_files(files)
    for path in local:  # one by one: their columns may differ
        yield from _local(path)
    if local:
        return
    try:
        if source.files:
            for name in source.files:
                url = f"hf://datasets/{source.hub}@{source.revision}/{name}"
                yield from load_dataset("json", data_files=url, split="train", streaming=True)
        else:
            for config in source.configs:
                yield from load_dataset(source.hub, config, split=source.split, revision=source.revision, streaming=True)
    except DatasetNotFoundError as error:
        raise BadInput(f"{source.hub}: the hub does not know it or asks for a login ({error}); give local files instead") from None
    except (ConnectionError, TimeoutError, httpx.TransportError) as error:
        raise Transient(f"{source.hub}: cannot reach the hub ({type(error).__name__}); give local files, or try again") from error


def revision(source: Source, files: Iterable[str]) -> str:
    """The commit on the hub, or ``sha256:…`` over the local files."""
    local = local_files(files)
    if local:
        digest = hashlib.sha256()
        for path in local:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"sha256:{digest.hexdigest()}"
    return _commit(source)


def local_files(patterns: Iterable[str]) -> list[Path]:
    """The files that glob patterns match, in order of name.

    Raises:
        BadInput: a pattern matches nothing.
    """
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))
        if not matches:
            raise BadInput(f"no file matches {pattern!r}")
        if folder := next((match for match in matches if Path(match).is_dir()), None):
            raise BadInput(f"{folder}: a folder; name its files, such as {folder.rstrip('/')}/*.jsonl")
        found += map(Path, matches)
    return found


def _local(path: Path) -> Iterator[Row]:
    """The rows of one file.

    Raises:
        BadInput: it cannot be read.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    try:
        yield from load_dataset(_builder(path), data_files=str(path), split="train", streaming=True)
    except (OSError, ValueError, EOFError, zlib.error, ArrowException, DatasetsError) as error:  # each of its readers has its own
        raise BadInput(f"{path}: damaged, or no {_builder(path)} ({' '.join(str(error).split())[:200]}); repair it or leave it out") from None


def _builder(path: Path) -> str:
    kind = next((suffix for suffix in path.suffixes if suffix in _BUILDERS), "")
    if not kind:
        raise BadInput(f"{path}: not a kind of file that is read here; there are: {', '.join(_BUILDERS)}, each also with .gz or .zst")
    return _BUILDERS[kind]


def _commit(source: Source) -> str:
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        info: Any = HfApi().dataset_info(source.hub, revision=source.revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.TransportError, OSError) as error:
        raise Transient(f"{source.hub}: cannot ask the hub for its revision ({type(error).__name__}); give local files, or try again") from error
    return str(info.sha)

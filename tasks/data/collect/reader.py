"""Rows of a source, streamed by ``datasets`` from the hub or read from local files, and the revision they are of.

Local files are read by the readers of the other commands, which make no date or number of a text. Not here: what a row
means (the adapters).
"""

import glob
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from configs.errors import BadInput, Transient
from tasks.data.collect.pair import Row
from tasks.data.collect.sources import Source
from tasks.data.collect.tables import table_rows
from tasks.data.plain.files import numbered
from tasks.data.plain.packing.unpacked import check

log = logging.getLogger("cogumi.data")
_KINDS = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".tsv": "tsv"}


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
                yield from load_dataset(
                    source.hub, config, split=source.split, revision=source.revision, streaming=True
                )
    except DatasetNotFoundError as error:
        raise BadInput(
            f"{source.hub}: the hub does not know it or asks for a login ({error}); give local files instead"
        ) from None
    except (ConnectionError, TimeoutError, httpx.TransportError) as error:
        raise Transient(
            f"{source.hub}: cannot reach the hub ({type(error).__name__}); give local files, or try again"
        ) from error


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
        try:
            named = str(Path(pattern).expanduser())
        except RuntimeError as error:  # ~nobody
            raise BadInput(f"{pattern!r}: {error}") from None
        matches = [named] if os.path.lexists(named) else sorted(glob.glob(named, recursive=True))
        if not matches:
            raise BadInput(f"no file matches {pattern!r}")
        if folder := next((match for match in matches if Path(match).is_dir()), None):
            raise BadInput(f"{folder}: a folder; name its files, such as {folder.rstrip('/')}/*.jsonl")
        for path in map(Path, matches):
            check(path)
            found.append(path)
    return found


def _local(path: Path) -> Iterator[Row]:
    """The rows of one file.

    Raises:
        BadInput: it cannot be read.
    """
    kind = _kind(path)
    try:
        if kind in ("csv", "tsv"):
            yield from table_rows(path)
        else:
            yield from (row for _, row in numbered(path))
    except (OSError, UnicodeError) as error:
        raise BadInput(
            f"{path}: damaged, or no {kind} ({' '.join(str(error).split())[:200]}); repair it or leave it out"
        ) from None
    except BadInput as error:
        fault = str(error).removeprefix(f"{path}:").strip()
        raise BadInput(f"{path}: damaged, or no {kind} ({fault}); repair it or leave it out") from None


def _kind(path: Path) -> str:
    kind = path.suffixes[-2:][0] if path.suffix in (".gz", ".zst") else path.suffix
    if kind not in _KINDS or (kind == ".parquet" and kind != path.suffix):
        raise BadInput(
            f"{path}: not a kind of file that is read here; there are: {', '.join(_KINDS)}, each but .parquet also "
            "with .gz or .zst"
        )
    return _KINDS[kind]


def _commit(source: Source) -> str:
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        info: Any = HfApi().dataset_info(source.hub, revision=source.revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.TransportError, OSError) as error:
        raise Transient(
            f"{source.hub}: cannot ask the hub for its revision ({type(error).__name__}); give local files, or try "
            "again"
        ) from error
    return str(info.sha)

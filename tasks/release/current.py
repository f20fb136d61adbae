"""The pointer to the current release: one small JSON file in the store, replaced atomically, with the releases before it.

Not here: deciding what is promoted (flows), and making a release (assemble.py).
"""

import os
from datetime import UTC, datetime

import fsspec

from blocks import store
from blocks.errors import BadInput
from blocks.records import Artifact, Record


class Entry(Record):
    """One promoted release, the report that describes it, and when it was promoted (UTC)."""

    release: Artifact
    report: Artifact
    promoted: str


class Releases(Record):
    """All promotions, newest last; the last one is current."""

    entries: tuple[Entry, ...] = ()


def releases() -> Releases:
    """What was promoted so far."""
    fs, path = _place()
    if not fs.exists(path):
        return Releases()
    try:
        return Releases.model_validate_json(fs.cat_file(path))
    except ValueError:
        raise BadInput(f"{path} is damaged; delete it and run the release phase again") from None


def promote(release: Artifact, report: Artifact, keep: int) -> None:
    """Make ``release`` the current one; of the ones before it the newest ``keep`` stay listed. The same again changes nothing."""
    entries = releases().entries
    if entries and entries[-1].release.digest == release.digest and entries[-1].report.digest == report.digest:
        return
    new = Entry(release=release, report=report, promoted=datetime.now(UTC).isoformat(timespec="seconds"))
    others = [entry for entry in entries if entry.release.digest != release.digest]
    text = Releases(entries=tuple([*others[-keep:], new] if keep else [new])).model_dump_json(indent=1)
    fs, path = _place()
    if "://" in store.location():
        fs.pipe_file(path, text.encode())  # one object is replaced as a whole
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def current(digest: str | None = None) -> Entry:
    """The current release, or the promoted one whose digest begins with ``digest``.

    Raises:
        BadInput: there is none.
    """
    entries = releases().entries
    if digest is not None:
        entries = tuple(entry for entry in entries if entry.release.digest.startswith(digest) or entry.release.short.startswith(digest))
    if not entries:
        raise BadInput(f"no release {digest!r}; see the digests in {_place()[1]}" if digest else "there is no release here yet; make one with: cogumi run")
    return entries[-1]


def _place() -> tuple[fsspec.AbstractFileSystem, str]:
    fs, root = fsspec.core.url_to_fs(store.location())
    return fs, f"{root}/releases.json"

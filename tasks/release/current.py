"""The pointer to the current release: one small JSON file in the store, with the releases before it; promotion and
rollback.

Moves are atomic and made one after the other (blocks/storage/pointer.py). Not here: deciding what is promoted (flows),
and making a release (assemble.py).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from blocks.records import Artifact, Record, unknown_fields
from blocks.storage import folders, objects, places, pointer, remote
from configs.errors import BadInput, CogumiError, DamagedArtifact

POINTER = "releases.json"


class Overtaken(CogumiError):
    """The current release is no longer the one that the candidate was compared with."""


class Entry(Record):
    """One release, the report that describes it, when and how it became the current one (UTC), and the digest of the
    release that it replaced then."""

    release: Artifact
    report: Artifact
    promoted: str
    how: Literal["promoted", "rolled back"] = "promoted"
    replaced: str | None = None


class Releases(Record):
    """Every kept release once, in the order in which it last became current; the last one is current."""

    entries: tuple[Entry, ...] = ()


def releases() -> Releases:
    """What is kept."""
    return _parse(pointer.read(POINTER))


def promote(release: Artifact, report: Artifact, keep: int, compared_with: str | None = None) -> None:
    """Make ``release`` the current one; of the ones before it the newest ``keep`` stay listed. The same again changes
    nothing. The run's history says so.

    Raises:
        Overtaken: ``compared_with`` is given and is not the digest of the current release any more; nothing was
            changed.
    """
    from blocks.journal import (
        history,
    )  # a database's library takes a third of a second to import, and whoever only reads the pointer needs none

    moved = True

    def change(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        nonlocal moved
        now = entries[-1] if entries else None
        if now and now.release.digest == release.digest:
            moved = (
                False  # made or told again, its account and report may be others: the list refers to what is there now
            )
            return (*entries[:-1], now.model_copy(update={"release": release, "report": report}))
        if compared_with is not None and (now is None or now.release.digest != compared_with):
            raise Overtaken(
                f"{release.short} was compared with release {compared_with[:12]}, but the current one is "
                f"{now.release.digest[:12] if now else 'gone'}; compare it again"
            )
        others = [entry for entry in entries if entry.release.digest != release.digest]
        new = Entry(release=release, report=report, promoted=_now(), replaced=now.release.digest if now else None)
        return tuple([*others[-keep:], new] if keep else [new])

    _move(change)
    history.release_promoted(release, report, moved)


def rollback(digest: str | None = None) -> Entry:
    """Make the kept release whose digest begins with ``digest`` the current one again; without it, the one that was
    current before the last move, so that a second rollback takes back the first. Everything stays listed. The history
    says so, once the pointer is moved.

    Raises:
        BadInput: there is no such release, it is the current one, or its files are gone.
    """

    def change(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if digest is None and len(entries) == 1:
            raise BadInput(f"{entries[0].release.short} is the only release kept here; there is none to roll back to")
        target = entries[-2] if digest is None and entries else _named(entries, digest)
        if target == entries[-1]:
            raise BadInput(
                f"{target.release.short} is the current release already; the others are: "
                f"{', '.join(entry.release.digest[:12] for entry in entries[:-1]) or 'none'}"
            )
        _refuse_incomplete(target.release)
        new = target.model_copy(
            update={"promoted": _now(), "how": "rolled back", "replaced": entries[-1].release.digest}
        )
        return (*[entry for entry in entries if entry != target], new)

    entry = _move(change)[-1]
    from blocks.journal import history  # after the move, so that what its library takes to import delays nothing

    history.release_rolled_back(entry.release, entry.report, entry.replaced)
    return entry


def current(digest: str | None = None) -> Entry:
    """The current release, or the kept one whose digest begins with ``digest``.

    Raises:
        BadInput: there is none, or several begin so.
    """
    return _named(releases().entries, digest)


def _named(entries: tuple[Entry, ...], digest: str | None) -> Entry:
    if digest is not None:
        entries = tuple(
            entry
            for entry in entries
            if entry.release.digest.startswith(digest)
            or f"{entry.release.kind}-{entry.release.digest}".startswith(digest)
        )
        if len(entries) > 1:
            raise BadInput(
                f"{digest!r} is the beginning of {', '.join(entry.release.short for entry in entries)}; give more of it"
            )
    if not entries:
        raise BadInput(
            f"no release {digest!r}; see the digests in {pointer.place(POINTER)}"
            if digest
            else "there is no release here yet; make one with: cogumi run"
        )
    return entries[-1]


def _refuse_incomplete(release: Artifact) -> None:
    """Every file is there in its full length; what is in it is checked when it is opened."""
    try:
        # a store may lie elsewhere by now than when the reference was written
        here = f"{places.location()}/{release.kind}/{release.digest}"
        if objects.is_remote(here):
            remote.check(release, here)
            return
        folder = next(
            (Path(place) for place in (here, release.uri) if (Path(place) / folders.MANIFEST).exists()), Path(here)
        )
        for name, (_, size) in folders.manifest_in(folder).files.items():
            if not (folder / name).exists() or (folder / name).stat().st_size != size:
                raise DamagedArtifact(f"{name} is missing or cut")
    except DamagedArtifact as damage:
        raise BadInput(
            f"{release.short} is not whole ({damage}); run its profile again to rebuild it, nothing was changed"
        ) from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _move(change: Callable[[tuple[Entry, ...]], tuple[Entry, ...]]) -> tuple[Entry, ...]:
    """Replace the list by ``change`` of it; the new list."""
    result: tuple[Entry, ...] = ()

    def rewrite(content: bytes | None) -> bytes | None:
        nonlocal result
        before = _parse(content)
        result = change(before.entries)
        after = Releases(entries=result)
        return None if after.model_dump() == before.model_dump() else after.model_dump_json(indent=1).encode()

    pointer.move(POINTER, rewrite)
    return result


def _parse(content: bytes | None) -> Releases:
    try:
        return Releases.model_validate_json(content) if content is not None else Releases()
    except ValidationError as error:
        place = pointer.place(POINTER)
        if unknown := unknown_fields(error):
            raise BadInput(
                f"{place} was written by a newer version of Cogumi (it has {unknown}); update this one"
            ) from None
        raise BadInput(f"{place} is damaged; delete it and run the release phase again") from None

"""A batch in the journal: opened before its calls are claimed, known by the provider's id once submitted, closed when
settled.

Not here: what is done with it (batches.py).
"""

from dataclasses import dataclass

from sqlalchemy import insert, select, update

from blocks.journal.journal import BATCH, INTENT, Journal, batches, calls, clock
from blocks.teachers.calling.live_sessions import living


@dataclass(frozen=True, slots=True)
class Batch:
    """What the journal knows. ``id`` is the provider's; ``abandoned``: nobody who lives is submitting it; ``created``
    in seconds since 1970; ``others`` are the ids of all other batches."""

    id: str | None
    finished: bool
    abandoned: bool
    created: float
    others: set[str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call in flight in a batch; ``reserved`` in nano-dollars."""

    key: str
    number: int
    reserved: int


def start(journal: Journal, marker: str, session: str) -> None:
    """Write the batch before its calls."""
    with journal.writing() as db:
        db.execute(insert(batches).values(marker=marker, session=session, created=clock(db)))


def look(journal: Journal, marker: str) -> Batch:
    """The batch as it stands."""
    with journal.reading() as db:
        row = db.execute(select(batches).where(batches.c.marker == marker)).one()
        others = set(
            db.execute(select(batches.c.id).where(batches.c.marker != marker, batches.c.id.is_not(None))).scalars()
        )
        return Batch(row.id, row.finished is not None, row.session not in living(db, clock(db)), row.created, others)


def submitted(journal: Journal, marker: str, batch: str) -> None:
    """The provider has it under ``batch``."""
    with journal.writing() as db:
        db.execute(update(batches).where(batches.c.marker == marker).values(id=batch))


def finish(journal: Journal, marker: str) -> None:
    """All its calls are settled."""
    with journal.writing() as db:
        db.execute(update(batches).where(batches.c.marker == marker).values(finished=clock(db)))


def waiting(journal: Journal, marker: str) -> list[Waiting]:
    """Its calls that are not settled."""
    with journal.reading() as db:
        return [
            Waiting(*row)
            for row in db.execute(
                select(calls.c.key, calls.c.number, calls.c.reserved).where(
                    calls.c.owner == BATCH + marker, calls.c.state == INTENT
                )
            )
        ]

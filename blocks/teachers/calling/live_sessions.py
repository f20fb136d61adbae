"""Which sessions live: the owners of intents, so that a call in flight is neither made twice nor waited for in vain.

A session on this machine lives while its process does; one on another machine while its heartbeat is fresh.
Not here: what a dead one left behind (claims.py).
"""

import os
import socket
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from blocks.journal.journal import Journal, clock, hits, sessions
from blocks.processes import started

DEAD_SECONDS = 90.0
"""A session on another machine that has not written for so long is dead."""
_ours: set[str] = set()  # sessions open in this process


def begin(journal: Journal, session: str) -> None:
    """Make a session known."""
    _ours.add(session)
    with journal.writing() as db:
        db.execute(
            insert(sessions).values(id=session, host=host(), process=process(os.getpid()) or "", heartbeat=clock(db))
        )


def beat(journal: Journal, session: str) -> None:
    """Say that the session lives."""
    with journal.writing() as db:
        db.execute(update(sessions).where(sessions.c.id == session).values(heartbeat=clock(db)))


def end(journal: Journal, session: str) -> None:
    """Close a session."""
    _ours.discard(session)
    with journal.writing() as db:
        db.execute(delete(sessions).where(sessions.c.id == session))


def count_hits(journal: Journal, account: str, found: dict[str, int]) -> None:
    """Add answers that came from the journal, per teacher, to the account's statistics."""
    with journal.writing() as db:
        for teacher, count in found.items():
            changed = db.execute(
                update(hits)
                .where(hits.c.account == account, hits.c.teacher == teacher)
                .values(hits=hits.c.hits + count)
            )
            if not changed.rowcount:
                db.execute(insert(hits).values(account=account, teacher=teacher, hits=count))


def living(db: Connection, now: float) -> set[str]:
    """The sessions that still run: here by their process, elsewhere by their heartbeat."""
    here, me = host(), process(os.getpid())
    alive = set()
    for row in db.execute(select(sessions)):
        if row.host != here or not row.process:
            lives = abs(now - row.heartbeat) < DEAD_SECONDS  # one in the future was written by a clock that was ahead
        elif row.process == me:
            lives = row.id in _ours
        else:
            lives = process(int(row.process.split(":")[0])) == row.process
        if lives:
            alive.add(row.id)
    return alive


def host() -> str:
    """This machine, boot and process namespace: within it, process numbers mean the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        return f"{socket.gethostname()}-{os.getpid()}"


def process(number: int) -> str | None:
    """``number:start time`` of a living process on Linux, which tells it from a later one with the same number."""
    since = started(number)
    return None if since is None else f"{number}:{since}"

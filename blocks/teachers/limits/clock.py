"""Rate limits when the clock is set back: buckets say when the next call may go, and would wait for a time that does
not come.

The clock of the last look stands in the journal beside the buckets; what the clock has lost since then is taken off all
of them. Not here: the buckets themselves (rates.py).
"""

import logging

from sqlalchemy import Connection, insert, select, update

from blocks.journal.journal import rates

log = logging.getLogger("cogumi.teachers")
NAME = "the clock"  # no limit's name: those are provider/model
TOLERANCE_S = 1.0
FIRST_LOOK_S = 120.0  # how far ahead a bucket may be whose clock is not on record: longer than any window of a minute


def follow_clock(db: Connection, now: float) -> None:
    """Note the clock, ``now`` in seconds since 1970; where it went back, move every bucket back with it."""
    seen = db.execute(select(rates.c.requests_at).where(rates.c.name == NAME)).scalar_one_or_none()
    if seen is None:
        ahead = now + FIRST_LOOK_S
        for column in (rates.c.requests_at, rates.c.tokens_at):
            db.execute(update(rates).where(column > ahead).values({column: ahead}))
        db.execute(insert(rates).values(name=NAME, requests_at=now, tokens_at=0.0))
        return
    lost = seen - now
    if lost > TOLERANCE_S:
        log.warning("the clock went back by %d s; rate limits go with it", lost)
        moved = {"requests_at": rates.c.requests_at - lost, "tokens_at": rates.c.tokens_at - lost}
        db.execute(update(rates).where(rates.c.name != NAME).values(moved))
    db.execute(update(rates).where(rates.c.name == NAME).values(requests_at=now))

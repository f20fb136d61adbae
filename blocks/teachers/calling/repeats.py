"""Lost calls that are billed once: asked again under the Idempotency-Key of the first try, at a provider that promises
so.

Such a provider (``idempotent_s`` of a teacher) answers a repeated key with its first answer, for so many seconds and
for the same caller and body. So an answer within that time is the bill of every try under its key, and what the lost
ones hold at worst case is given back. Anything less certain stays at worst case: a time that is over, another API key,
a temperature that is sent now and was not then. Not here: when a key is kept (faults.py) and when these are called
(claims.py), each inside one writing transaction.
"""

import hashlib
import uuid

from sqlalchemy import Connection, delete, insert, select, update

from blocks.journal.journal import FAILED, LOST, calls, repeats
from configs.phases.teachers import TeacherModel


def scope(teacher: TeacherModel, secret: str) -> str:
    """What a provider's memory of a key depends on beside the journal's key. Four hex digits: enough to notice another
    API key, and far too few to know one by."""
    return hashlib.sha256(f"{secret}\n{teacher.temperature}".encode()).hexdigest()[:4]


def name(db: Connection, now: float, key: str, number: int, scope: str, seconds: float) -> str | None:
    """The Idempotency-Key for try ``number`` of the call ``key``: that of the tries before it while it holds, otherwise
    a new one; None where ``seconds`` is 0."""
    row = db.execute(select(repeats).where(repeats.c.key == key)).one_or_none()
    # Not further ahead than a new one: the clock may have gone back.
    if row is not None and row.scope == scope and now < row.until <= now + seconds:
        return str(row.name)
    if row is not None:
        forget(db, key)
    if not seconds:
        return None
    made = f"cogumi-{uuid.uuid4().hex}"
    db.execute(insert(repeats).values(key=key, name=made, scope=scope, first=number, until=now + seconds))
    return made


def billed_once(db: Connection, now: float, key: str, name: str) -> list[tuple[str, int]]:
    """The provider has answered ``name``: the lost tries under it cost nothing beside this answer. Returns the accounts
    that held them, each with nano-dollars to give back; nothing once the provider may have forgotten the first try."""
    holding = (repeats.c.key == key, repeats.c.name == name, repeats.c.until >= now)
    first = db.execute(select(repeats.c.first).where(*holding)).scalar_one_or_none()
    if first is None:
        return []
    lost = (calls.c.key == key, calls.c.number >= first, calls.c.state == LOST)
    held = [
        (str(row.account), int(row.price)) for row in db.execute(select(calls.c.account, calls.c.price).where(*lost))
    ]
    if held:
        reason = calls.c.reject + "; billed once, with the answer to the same Idempotency-Key"
        db.execute(update(calls).where(*lost).values(state=FAILED, price=0, reject=reason))
    return held


def forget(db: Connection, key: str) -> None:
    """The next try is another call to the provider."""
    db.execute(delete(repeats).where(repeats.c.key == key))

"""What happens in the journal's writing transactions: calls are claimed (intent, reservation, rate slot in one) and
settled.

One transaction takes many operations, so that one sync to disk serves every call that is waiting (group commit).
Not here: who waits (writer.py), who lives (live_sessions.py), and the call itself (one_call.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from blocks.journal.budget import Account
from blocks.journal.journal import BATCH, FINAL, INTENT, LOST, ROW, Journal, Row, calls, clock, rates
from blocks.teachers.calling import repeats
from blocks.teachers.calling.live_sessions import living
from blocks.teachers.limits.clock import follow_clock
from blocks.teachers.limits.rates import Bucket, Rate


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask to make one call. ``reserve`` and ``cap`` in nano-dollars, ``tokens`` against the token limit. ``scope`` and
    ``repeat_s``: what an Idempotency-Key holds for, and for how many seconds; 0: none is sent."""

    key: str
    owner: str
    account: str
    cap: int
    reserve: int
    teacher: str
    provider: str
    model: str
    role: str
    purpose: str
    messages: str
    rate: Rate
    tokens: int
    scope: str = ""
    repeat_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may start in ``wait`` seconds; ``number`` tells it from earlier tries under the same key. ``name``: the
    Idempotency-Key to send."""

    number: int
    wait: float
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """A living session is making this very call; look again soon."""

    owner: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The account has no room for the worst case."""

    used: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The end of a claimed call: final with its price, lost (the reservation is spent) or failed (given back). ``name``
    is the Idempotency-Key that was sent; ``answers``: a reply came to it; ``repeatable``: the next try goes under the
    same."""

    key: str
    number: int
    state: str
    price: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    text: str = ""
    reject: str | None = None
    name: str | None = None
    repeatable: bool = False
    answers: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """Another slot of a rate limit, for a retry that needs no new claim. ``hold``: seconds for which the provider
    asked everybody to wait."""

    rate: Rate
    tokens: int
    hold: float = 0.0


Operation = Claim | Settle | Slot
Result = Granted | Row | Busy | Refused | float | None
_SETTLE = (
    update(calls)
    .where(calls.c.key == bindparam("k"), calls.c.number == bindparam("n"), calls.c.state == INTENT)
    .values(
        {
            name: bindparam(f"v_{name}")
            for name in (
                "state",
                "price",
                "prompt_tokens",
                "cached_tokens",
                "completion_tokens",
                "retries",
                "text",
                "reject",
                "finished",
            )
        }
    )
)


def apply(journal: Journal, operations: Sequence[Operation]) -> list[Result]:
    """Do all operations in one transaction, settlements first; results in order. Durable when this returns."""
    results: list[Result] = [None] * len(operations)
    with journal.writing() as db:
        moment = _Moment(db)
        moment.settle([op for op in operations if isinstance(op, Settle)])
        moment.look([op.key for op in operations if isinstance(op, Claim)])
        for at, operation in enumerate(operations):
            if isinstance(operation, Slot):
                results[at] = moment.slot(operation)
            elif isinstance(operation, Claim):
                results[at] = moment.claim(operation)
        moment.save()
    return results


class _Moment:
    """One writing transaction: what it has read, and what it will write."""

    def __init__(self, db: Connection) -> None:
        self.db, self.now = db, clock(db)
        self.accounts: dict[str, Account] = {}
        self.buckets: dict[str, Bucket] = {}
        self.rows: dict[str, list[dict[str, object]]] = {}
        self.intents: list[dict[str, object]] = []

    def account(self, name: str) -> Account:
        if name not in self.accounts:
            self.accounts[name] = Account(self.db, name)
        return self.accounts[name]

    def settle(self, ends: Sequence[Settle]) -> None:
        """Write ends of calls. A call that is already settled stays as it is and is not charged twice."""
        if not ends:
            return
        query = select(calls.c.key, calls.c.number, calls.c.account, calls.c.reserved).where(
            calls.c.key.in_([end.key for end in ends]), calls.c.state == INTENT
        )
        open_calls = {(row.key, row.number): (row.account, row.reserved) for row in self.db.execute(query)}
        written = []
        for end in ends:
            if (end.key, end.number) not in open_calls:
                continue
            account, reserved = open_calls.pop((end.key, end.number))
            cost = reserved if end.state == LOST else end.price
            self.account(account).settle(reserved, cost)
            written.append(
                {
                    "k": end.key,
                    "n": end.number,
                    "v_state": end.state,
                    "v_price": cost,
                    "v_prompt_tokens": end.prompt_tokens,
                    "v_cached_tokens": end.cached_tokens,
                    "v_completion_tokens": end.completion_tokens,
                    "v_retries": end.retries,
                    "v_text": end.text,
                    "v_reject": end.reject,
                    "v_finished": self.now,
                }
            )
            if end.name is not None:
                self.settle_lost(end)
        if written:
            self.db.execute(_SETTLE, written)

    def settle_lost(self, end: Settle) -> None:
        """A reply to an Idempotency-Key is the bill of all tries under it; all else leaves them at their worst case."""
        if end.answers:
            for account, price in repeats.billed_once(self.db, self.now, end.key, str(end.name)):
                self.account(account).settle(0, -price)
        if not end.repeatable:
            repeats.forget(self.db, end.key)

    def look(self, keys: Sequence[str]) -> None:
        """Read what the journal knows of the keys that are about to be claimed."""
        if keys:
            columns = [*ROW, calls.c.owner, calls.c.reserved, calls.c.account]
            for row in self.db.execute(select(*columns).where(calls.c.key.in_(keys)).order_by(calls.c.number)):
                self.rows.setdefault(row.key, []).append(dict(row._mapping))
        self._living = (
            living(self.db, self.now)
            if any(row["state"] == INTENT for rows in self.rows.values() for row in rows)
            else set()
        )

    def claim(self, claim: Claim) -> Result:
        known = self.rows.get(claim.key, [])
        for row in known:
            if row["state"] in FINAL:
                return Row(**{name: row[name] for name in Row.__slots__})  # type: ignore[arg-type]
        for row in known:
            if row["state"] == INTENT:
                if row["owner"] in self._living or str(row["owner"]).startswith(BATCH):
                    return Busy(str(row["owner"]))
                self.lose(row)
        account = self.account(claim.account)
        if not account.reserve(claim.reserve, claim.cap):
            return Refused(account.spent, account.reserved)
        number = len(known) + 1
        name = None
        if known or claim.repeat_s:
            name = repeats.name(
                db=self.db, now=self.now, key=claim.key, number=number, scope=claim.scope, seconds=claim.repeat_s
            )
        self.intents.append(
            {
                "key": claim.key,
                "number": number,
                "account": claim.account,
                "teacher": claim.teacher,
                "provider": claim.provider,
                "model": claim.model,
                "role": claim.role,
                "purpose": claim.purpose,
                "messages": claim.messages,
                "state": INTENT,
                "owner": claim.owner,
                "reserved": claim.reserve,
                "created": self.now,
            }
        )
        return Granted(number, self._take(claim.rate, claim.tokens), name)

    def lose(self, row: dict[str, object]) -> None:
        """The session that was making this call is dead: its reservation is spent."""
        row["state"] = LOST
        self.db.execute(
            update(calls)
            .where(calls.c.key == row["key"], calls.c.number == row["number"])
            .values(state=LOST, price=calls.c.reserved, reject="in flight when its process ended", finished=self.now)
        )
        reserved = int(str(row["reserved"]))
        self.account(str(row["account"])).settle(reserved, reserved)

    def slot(self, slot: Slot) -> float:
        if slot.hold:
            self._bucket(slot.rate).hold(self.now, slot.hold)
        return self._take(slot.rate, slot.tokens)

    def _bucket(self, rate: Rate) -> Bucket:
        if not self.buckets:
            follow_clock(self.db, self.now)
        if rate.name not in self.buckets:
            row = self.db.execute(
                select(rates.c.requests_at, rates.c.tokens_at).where(rates.c.name == rate.name)
            ).one_or_none()
            if row is None:
                self.db.execute(insert(rates).values(name=rate.name, requests_at=0.0, tokens_at=0.0))
            self.buckets[rate.name] = Bucket(row.requests_at, row.tokens_at) if row is not None else Bucket(0.0, 0.0)
        return self.buckets[rate.name]

    def _take(self, rate: Rate, tokens: int) -> float:
        return self._bucket(rate).take(self.now, rate, tokens)

    def save(self) -> None:
        if self.intents:
            self.db.execute(insert(calls), self.intents)
        for account in self.accounts.values():
            account.save()
        for name, bucket in self.buckets.items():
            self.db.execute(
                update(rates)
                .where(rates.c.name == name)
                .values(requests_at=bucket.requests_at, tokens_at=bucket.tokens_at)
            )


def abandon(journal: Journal, session: str) -> None:
    """What a session left in flight when it ended is lost."""
    with journal.writing() as db:
        moment = _Moment(db)
        for row in db.execute(
            select(calls.c.key, calls.c.number, calls.c.reserved, calls.c.account).where(
                calls.c.owner == session, calls.c.state == INTENT
            )
        ).all():
            moment.lose(dict(row._mapping))
        moment.save()

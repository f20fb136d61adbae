"""What was asked and spent, per teacher, from the journal; and the error when the budget is spent.

Not here: prices (blocks/journal/budget.py).
"""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, case, func, select

from blocks.journal.budget import accounts, to_dollars
from blocks.journal.journal import ANSWERED, FAILED, FINAL, INTENT, LOST, Journal, calls, hits
from blocks.records import Record
from configs.errors import BudgetSpent
from configs.phases.teachers import Teachers


class TeacherSummary(Record):
    """One teacher in one account. ``calls`` are answered or refused, ``rejects`` the refusals and cut-off answers among
    them by reason; ``lost`` were in flight when a process or connection died, and dollars ``spent`` include their worst
    case, ``unsure``; ``faults`` are the reasons of what was lost or given up."""

    teacher: str
    calls: int
    journal_hits: int
    retries: int
    lost: int
    rejects: dict[str, int]
    faults: dict[str, int]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    spent: Decimal
    unsure: Decimal
    reserved: Decimal


def summary(teachers: Teachers) -> list[TeacherSummary]:
    """Every teacher that the account ever used, by name."""
    journal = Journal(teachers.journal)
    try:
        with journal.reading() as db:
            mine = calls.c.account == teachers.account
            rows = db.execute(
                select(
                    calls.c.teacher,
                    func.sum(case((calls.c.state.in_(FINAL), 1), else_=0)),
                    func.sum(calls.c.retries),
                    func.sum(case((calls.c.state == LOST, 1), else_=0)),
                    func.sum(calls.c.prompt_tokens),
                    func.sum(calls.c.cached_tokens),
                    func.sum(calls.c.completion_tokens),
                    func.sum(calls.c.price),
                    func.sum(case((calls.c.state == LOST, calls.c.price), else_=0)),
                    func.sum(case((calls.c.state == INTENT, calls.c.reserved), else_=0)),
                )
                .where(mine)
                .group_by(calls.c.teacher)
            ).all()
            free = {
                row.teacher: row.hits
                for row in db.execute(select(hits.c.teacher, hits.c.hits).where(hits.c.account == teachers.account))
            }
            rejects, faults = (
                _reasons(db, mine & calls.c.state.in_(FINAL)),
                _reasons(db, mine & calls.c.state.in_((LOST, FAILED))),
            )
        found = {row[0]: [int(value) for value in row[1:]] for row in rows}
        return [
            TeacherSummary(
                teacher=name,
                calls=made,
                journal_hits=free.get(name, 0),
                retries=retries,
                lost=lost,
                rejects=rejects.get(name, {}),
                faults=faults.get(name, {}),
                prompt_tokens=prompt,
                cached_tokens=cached,
                completion_tokens=completion,
                spent=to_dollars(cost),
                unsure=to_dollars(unsure),
                reserved=to_dollars(reserved),
            )
            for name in sorted({*found, *free})
            for made, retries, lost, prompt, cached, completion, cost, unsure, reserved in [found.get(name, [0] * 9)]
        ]
    finally:
        journal.close()


def _reasons(db: Connection, which: ColumnElement[bool]) -> dict[str, dict[str, int]]:
    """Calls by teacher and reason."""
    found: dict[str, dict[str, int]] = {}
    query = (
        select(calls.c.teacher, calls.c.reject, func.count())
        .where(which, calls.c.reject.is_not(None))
        .group_by(calls.c.teacher, calls.c.reject)
    )
    for teacher, reason, count in db.execute(query):
        found.setdefault(teacher, {})[reason] = count
    return found


def spent(journal: Journal, teachers: Teachers, role: str, over: Sequence[int]) -> BudgetSpent:
    """The error for calls that the cap leaves no room for; ``over`` are their worst cases in nano-dollars."""
    with journal.reading() as db:
        account = db.execute(select(accounts).where(accounts.c.name == teachers.account)).one()
        mine = (calls.c.account == teachers.account, calls.c.role == role, calls.c.state == ANSWERED)
        paid, reserved = db.execute(
            select(func.coalesce(func.sum(calls.c.price), 0), func.coalesce(func.sum(calls.c.reserved), 0)).where(*mine)
        ).one()
    rest = sum(over)
    usual = f", about ${_cents(to_dollars(rest * int(paid) // int(reserved)))} at the prices so far" if reserved else ""
    held = f" (${_cents(to_dollars(account.reserved))} of it held by calls in flight)" if account.reserved else ""
    return BudgetSpent(
        f"budget {teachers.account}: ${_cents(to_dollars(account.spent + account.reserved))}{held} of the cap of "
        f"${_cents(teachers.cap_dollars)} are spent; "
        f"{len(over)} calls for {role} remain, at most ${_cents(to_dollars(rest))}{usual}; everything answered is "
        "kept: raise teachers.cap_dollars and run again"
    )


def _cents(amount: Decimal) -> str:
    """Dollars for people: cents, or six places where cents would hide them."""
    return f"{amount:.2f}" if amount >= 1 or amount == 0 else f"{amount:.6f}"


def markdown(found: Sequence[TeacherSummary]) -> str:
    """The summary as a table for reports and Prefect artifacts."""
    head = "| teacher | calls | from the journal | retries | lost | tokens in | cached | tokens out "
    head += "| spent | of it for lost calls, at worst case | in flight |\n"
    head += "|---|---|---|---|---|---|---|---|---|---|---|\n"
    rows = [
        f"| {t.teacher} | {t.calls} | {t.journal_hits} | {t.retries} | {t.lost} | {t.prompt_tokens} | "
        f"{t.cached_tokens} | {t.completion_tokens} "
        f"| ${_cents(t.spent)} | ${_cents(t.unsure)} | ${_cents(t.reserved)} |\n"
        for t in found
    ]
    reasons = [
        f"- {t.teacher}: {count} {what}: {reason}\n"
        for t in found
        for what, those in (("rejected", t.rejects), ("failed", t.faults))
        for reason, count in sorted(those.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return head + "".join(rows) + ("\n" + "".join(reasons) if reasons else "")

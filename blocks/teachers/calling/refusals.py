"""Which recorded refusals still stand. A refusal is final and free from then on, so it must be the request's own.

Two kinds are asked again: those that an earlier version took for the request's own by their status alone (an empty
account among them), and those that may come from a setting which has changed since and is not part of the journal's
key. What was answered is never asked again. Not here: what a refusal is (faults.py).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select, update

from blocks.journal.journal import ANSWERED, FAILED, REJECTED, Journal, Row, calls
from blocks.teachers.calling.faults import Fault, from_recorded
from blocks.teachers.calling.items import Item
from configs.phases.teachers import TeacherModel

_DECLINED = "declined "
LONGEST = 300  # characters of a reason, as redact cuts it


def declined(reason: str, teacher: TeacherModel) -> str:
    """The reason of a refusal that may be a setting's fault, with what was sent beside what the key holds."""
    return f"{_DECLINED}{_sent(teacher)}, while others were answered: {reason}"[:LONGEST]


def for_now(key: str, name: str, teacher: TeacherModel, fault: Fault) -> Row:
    """A refusal that counts in this run only: the journal has failed or lost calls, and the next run asks again."""
    reason = f"unreadable: {fault.reason}" if fault.unreadable else declined(fault.reason, teacher)
    return Row(
        key=key,
        number=0,
        teacher=name,
        model=teacher.model,
        state=REJECTED,
        price=0,
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        text="",
        reject=reason,
    )


def answers_others(journal: Journal, account: str, name: str, teacher: TeacherModel, role: str) -> bool:
    """Whether the journal holds an answer of this teacher in this role."""
    mine = (calls.c.account == account, calls.c.teacher == name, calls.c.state == ANSWERED)
    alike = (calls.c.provider == teacher.provider, calls.c.model == teacher.model, calls.c.role == role)
    with journal.reading() as db:
        return db.execute(select(calls.c.key).where(*mine, *alike).limit(1)).first() is not None


def stands(row: Row, teacher: TeacherModel) -> bool:
    """Whether a recorded refusal is still one for this teacher as it is set now."""
    reason = row.reject or ""
    if reason.startswith(_DECLINED):
        return reason.startswith(f"{_DECLINED}{_sent(teacher)}, ")
    return from_recorded(reason) == "reject"


def reopen(
    journal: Journal, known: Mapping[str, Row], items: Sequence[Item], chain: Sequence[TeacherModel]
) -> dict[str, Row]:
    """What is known without the refusals that do not stand; those are failed calls from now on."""
    teachers = {key: teacher for item in items for key, teacher in zip(item.keys, chain, strict=True)}
    fallen = [
        row
        for row in known.values()
        if row.state == REJECTED and row.price == 0 and not row.text and not stands(row, teachers[row.key])
    ]
    if fallen:
        with journal.writing() as db:
            change = (
                update(calls)
                .where(calls.c.key == bindparam("k"), calls.c.number == bindparam("n"), calls.c.state == REJECTED)
                .values(state=FAILED)
            )
            db.execute(change, [{"k": row.key, "n": row.number} for row in fallen])
    gone = {row.key for row in fallen}
    return {key: row for key, row in known.items() if key not in gone}


def _sent(teacher: TeacherModel) -> str:
    return "with a temperature" if teacher.temperature else "without a temperature"

"""What this flow run asked of each teacher: new calls and what they cost, answers that stood in the journal, rejects by
reason.

Kept in the run's history (blocks/journal/history.py), so that a retry and a resumed run add to it. A step that came
from the cache asked nothing. Not here: the account over all runs (summary.py), calls that were lost in flight (there
too).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from blocks.journal import history
from blocks.journal.budget import to_dollars
from blocks.journal.journal import Row
from blocks.prefect.pages import table
from blocks.records import Record
from blocks.teachers.paying.bill import reasons

REASON_LENGTH = 100  # characters of a provider's own words


class Tally(Record):
    """One teacher in one role. ``calls``: new ones, answered or refused; ``journal_hits``: answers that stood in the
    journal, free; ``rejects``: refusals and cut-off answers among the new calls."""

    calls: int = 0
    journal_hits: int = 0
    dollars: Decimal = Decimal(0)
    rejects: Mapping[str, int] = {}

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            calls=self.calls + other.calls,
            journal_hits=self.journal_hits + other.journal_hits,
            dollars=self.dollars + other.dollars,
            rejects=dict(Counter(self.rejects) + Counter(other.rejects)),
        )


def note(role: str, hits: Counter[str], new: Iterable[Row]) -> None:
    """Note one round of requests: ``hits`` by teacher, and the rows that it added to the journal."""
    found = {teacher: Tally(journal_hits=count) for teacher, count in hits.items()}
    for row in new:
        rejects = {row.reject[:REASON_LENGTH]: 1} if row.reject else {}
        found[row.teacher] = found.get(row.teacher, Tally()) + Tally(
            calls=1, dollars=to_dollars(row.price), rejects=rejects
        )
    if found:
        history.teachers_asked(role, {teacher: tally.model_dump(mode="json") for teacher, tally in found.items()})


def tallies() -> dict[tuple[str, str], Tally]:
    """By role and teacher; empty outside of a run."""
    found: dict[tuple[str, str], Tally] = {}
    for row in history.so_far("teachers"):
        for teacher, told in row.detail["teachers"].items():
            found[row.name, teacher] = found.get((row.name, teacher), Tally()) + Tally.model_validate(told)
    return dict(sorted(found.items()))


def markdown() -> str:
    """The tallies as a table for the page."""
    found = tallies()
    if not found:
        return "## This run\n\nNo teacher was asked: what is made came from the cache.\n\n"
    rows = [
        (role, teacher, one.calls, one.journal_hits, f"${one.dollars:f}", reasons(one.rejects))
        for (role, teacher), one in found.items()
    ]
    total = sum(found.values(), Tally())
    rows.append(("all", "", total.calls, total.journal_hits, f"${total.dollars:f}", reasons(total.rejects)))
    return (
        "## This run\n\n" + table(("role", "teacher", "new calls", "from the journal", "paid", "rejects"), rows) + "\n"
    )

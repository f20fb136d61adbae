"""The bill of a phase: what each of its steps asked, paid and rejected, what that should have cost, and what the rest
will cost.

Figures of artifacts: the same whenever a run shows them. Not here: what this run itself asked (this_run.py), the
account over all runs (summary.py), leaving a page (page.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from blocks import store
from blocks.estimates.calls import Asked, Calls, together
from blocks.prefect.pages import table
from blocks.records import Artifact, Record

PLACES = Decimal("0.0001")


class Paid(Record):
    """One step. ``calls``: None where it paid and does not say for how many; ``rejects`` by reason; ``planned``: what
    it should have asked and cost, None where nobody planned it."""

    name: str
    calls: int | None
    dollars: Decimal
    rejects: dict[str, int]
    planned: Calls | None


def paid(name: str, artifact: Artifact, planned: Iterable[Asked] | None) -> Paid:
    """What ``artifact`` says of itself, beside its plan."""
    rejects = {
        key.removeprefix("rejected_"): int(value)
        for key, value in artifact.metrics.items()
        if key.startswith("rejected_")
    }
    dollars = store.manifest(artifact).dollars
    calls = artifact.metrics.get("calls", None if dollars else 0)
    return Paid(
        name=name,
        calls=None if calls is None else int(calls),
        dollars=dollars,
        rejects=rejects,
        planned=None if planned is None else together(planned),
    )


def bill(phase: str, made: Sequence[Paid], waiting: Mapping[str, Calls]) -> str:
    """Both tables as Markdown. ``waiting``: the plan of what is still to come, by name."""
    ratio = prices_so_far(made)
    total, rest = (
        sum((one.dollars for one in made), Decimal(0)),
        sum((one.dollars for one in waiting.values()), Decimal(0)) * ratio,
    )
    rows = []
    for one in made:
        plan = (_count(one.planned.calls), _dollars(one.planned.dollars)) if one.planned else ("", "")
        rows.append((one.name, _count(one.calls), plan[0], _dollars(one.dollars), plan[1], reasons(one.rejects)))
    text = (
        f"# Teachers of the phase {phase}\n\n{_dollars(total)} for what is made, about {_dollars(rest)} for the "
        "rest.\n\n"
    )
    text += table(("made", "calls", "planned", "dollars", "planned", "rejects"), rows)
    if waiting:
        ahead = [
            (name, _count(one.calls), _dollars(one.dollars * ratio), _dollars(one.most_dollars))
            for name, one in waiting.items()
        ]
        text += "\n" + table(("still to come", "calls, about", "dollars, about", "at most"), ahead)
        text += f"\nAbout: as planned, times {ratio:.2f}, what was paid so far for each planned dollar.\n"
    return text + "\n"


def prices_so_far(made: Iterable[Paid]) -> Decimal:
    """Dollars paid for each planned one; 1 where nothing was planned yet."""
    known = [(one.dollars, one.planned.dollars) for one in made if one.planned is not None]
    planned = sum((plan for _, plan in known), Decimal(0))
    return sum((dollars for dollars, _ in known), Decimal(0)) / planned if planned else Decimal(1)


def reasons(rejects: Mapping[str, int]) -> str:
    """Counted reasons, the most frequent first."""
    return ", ".join(
        f"{reason} {count}" for reason, count in sorted(rejects.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _count(calls: float | None) -> str:
    return "" if calls is None else str(round(calls))


def _dollars(amount: Decimal) -> str:
    return f"${amount.quantize(PLACES):f}"

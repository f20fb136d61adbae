"""The page of a phase's teacher calls in Prefect's UI: what each step asked and paid, rejects by reason, and what the rest will cost.

Runs every time, also when everything came from the cache. Not here: the account over all runs (blocks/teachers/summary.py), which
stands below it, and the plan before a run (estimate.py).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from blocks import store
from blocks.records import Artifact, Record
from blocks.teachers.page import leave_page
from configs.phases.data import Data
from configs.phases.teachers import Teachers
from tasks.data.estimate import estimate
from tasks.step import step

PLACES = Decimal("0.0001")


class Paid(Record):
    """One step's calls (None: it did not say). ``rejects`` by reason; ``planned``: what it should have cost, None where nobody planned it."""

    name: str
    calls: int | None
    dollars: Decimal
    rejects: dict[str, int]
    planned: Decimal | None


class Ahead(Record):
    """A step that is still to come: calls (None: not known) and dollars expected, and at most where that is known."""

    name: str
    calls: float | None
    dollars: Decimal
    most: Decimal | None


@step(version=1, cache=False)
def show_dataset_spending(made: dict[str, Artifact], settings: Data, teachers: Teachers) -> None:
    """Leave the page of the dataset phase. ``made``: by role, what the steps that asked have made so far."""
    planned: dict[str, tuple[float, Decimal, Decimal]] = {}
    for asked in estimate(settings, teachers).asked:
        calls, dollars, most = planned.get(asked.role, (0.0, Decimal(0), Decimal(0)))
        planned[asked.role] = (calls + asked.calls, dollars + asked.dollars, most + asked.most_dollars)
    paid = [_paid(role, artifact, planned[role][1] if role in planned else None) for role, artifact in made.items()]
    ratio = _ratio(paid)
    ahead = [Ahead(name=role, calls=calls, dollars=dollars * ratio, most=most) for role, (calls, dollars, most) in planned.items() if role not in made]
    leave_page(page("dataset", paid, ahead), teachers)


@step(version=1, cache=False)
def show_spending(phase: str, made: dict[str, Artifact], waiting: list[str], teachers: Teachers) -> None:
    """Leave the page of another phase. ``made``: by name, what the steps that asked have made so far; ``waiting``: names of equal parts of
    the phase that are still to come, each expected to cost what the parts so far did."""
    paid = [_paid(name, artifact, None) for name, artifact in made.items()]
    parts = max(1, len({name.split(":")[0] for name in made}))
    mean = sum((one.dollars for one in paid), Decimal(0)) / parts
    leave_page(page(phase, paid, [Ahead(name=name, calls=None, dollars=mean, most=None) for name in waiting]), teachers)


def page(phase: str, paid: Sequence[Paid], ahead: Sequence[Ahead]) -> str:
    """Both tables as markdown."""
    total, rest = sum((one.dollars for one in paid), Decimal(0)), sum((one.dollars for one in ahead), Decimal(0))
    lines = [f"# Teachers of the phase {phase}", "", f"${_shown(total)} for what is made, about ${_shown(rest)} for the rest.", ""]
    lines += ["| made | calls | dollars | planned | rejects |", "|---|---|---|---|---|"]
    lines += [_row(one.name, one.calls, _shown(one.dollars), _shown(one.planned), _reasons(one.rejects)) for one in paid]
    if ahead:
        lines += ["", "| still to come | calls, about | dollars, about | at most |", "|---|---|---|---|"]
        lines += [_row(one.name, None if one.calls is None else round(one.calls), _shown(one.dollars), _shown(one.most)) for one in ahead]
        lines += ["", "The rest at the prices so far: where a plan says what it costs, times what was paid for each planned dollar; otherwise as much as the parts so far."]
    return "\n".join(lines) + "\n\n"


def _row(*cells: object) -> str:
    return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |"


def _paid(name: str, artifact: Artifact, planned: Decimal | None) -> Paid:
    rejects = {key.removeprefix("rejected_"): int(value) for key, value in artifact.metrics.items() if key.startswith("rejected_")}
    calls = artifact.metrics.get("calls")
    return Paid(name=name, calls=None if calls is None else int(calls), dollars=store.manifest(artifact).dollars, rejects=rejects, planned=planned)


def _ratio(paid: Sequence[Paid]) -> Decimal:
    """Dollars paid for each planned one; 1 where nothing was planned yet."""
    planned = sum((one.planned for one in paid if one.planned is not None), Decimal(0))
    return sum((one.dollars for one in paid if one.planned is not None), Decimal(0)) / planned if planned else Decimal(1)


def _reasons(rejects: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(rejects.items(), key=lambda pair: (-pair[1], pair[0])))


def _shown(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.quantize(PLACES):f}"

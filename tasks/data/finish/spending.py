"""The page of the dataset phase's teachers in Prefect's UI: by role what was asked, paid and rejected, and what the
rest will cost.

Runs every time, also when everything came from the cache. Not here: the page's tables (blocks/teachers/paying/bill.py),
and the plan before a run (estimate.py).
"""

from blocks.estimates.calls import Asked, together
from blocks.records import Artifact
from blocks.teachers.paying.bill import bill, paid
from blocks.teachers.reporting.page import leave_page
from configs.phases.data import Data
from configs.phases.teachers import Teachers
from tasks.data.estimate import estimate
from tasks.step import step


@step(version=1, cache=False)
def show_dataset_spending(made: dict[str, Artifact], settings: Data, teachers: Teachers) -> None:
    """Leave the page. ``made``: by role, what the steps that asked have made so far."""
    planned: dict[str, list[Asked]] = {}
    for asked in estimate(settings, teachers).asked:
        planned.setdefault(asked.role, []).append(asked)
    waiting = {role: together(those) for role, those in planned.items() if role not in made}
    leave_page(
        bill("dataset", [paid(role, artifact, planned.get(role)) for role, artifact in made.items()], waiting), teachers
    )

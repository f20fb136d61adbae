"""The page of the modifiers phase's teachers in Prefect's UI: by modifier what was asked, paid and rejected, and what
the rest will cost.

Runs every time, also when everything came from the cache. Not here: the page's tables (blocks/teachers/paying/bill.py),
and the plan before a run (estimate.py).
"""

from blocks.estimates.calls import together
from blocks.records import Artifact
from blocks.teachers.paying.bill import bill, paid
from blocks.teachers.reporting.page import leave_page
from configs.phases.modifiers import Modifiers, coverage
from configs.phases.teachers import Teachers
from tasks.modifiers.estimate import fresh_questions, mending
from tasks.step import step

QUESTIONS, ANSWERS = "questions", "answers"


@step(version=1, cache=False)
def show_modifiers_spending(made: dict[str, Artifact], settings: Modifiers, teachers: Teachers) -> None:
    """Leave the page. ``made``: so far, as "modifier: questions" and "modifier: answers"; modifiers that are not in it
    are still to come."""
    planned = {}
    for modifier in settings.each:
        covers = coverage(modifier.name)
        planned[f"{modifier.name}: {QUESTIONS}"] = fresh_questions(settings, settings.questions, covers, teachers)
        planned[f"{modifier.name}: {ANSWERS}"] = mending(
            settings, modifier.name, covers, settings.questions * len(covers.domains), teachers
        )
    waiting = {name: together(those) for name, those in planned.items() if name not in made and those}
    leave_page(
        bill("modifiers", [paid(name, artifact, planned.get(name)) for name, artifact in made.items()], waiting),
        teachers,
    )

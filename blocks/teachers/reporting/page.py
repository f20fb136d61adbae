"""The Prefect artifact ``teachers``: what every teacher was asked, answered, refused and was paid. Not here: the
figures (bill.py of a phase, this_run.py, summary.py of the account)."""

from blocks.prefect.pages import in_a_run, leave_text
from blocks.teachers.reporting import this_run
from blocks.teachers.reporting.summary import markdown, summary
from configs.phases.teachers import Teachers

KEY = "teachers"


def leave_page(about: str, teachers: Teachers) -> None:
    """Leave the page in Prefect's UI, ``about`` (markdown) on top. Outside a run nothing happens; a page that cannot be
    left stops nothing."""
    if not in_a_run():
        return
    run = this_run.markdown()
    account = f"## Account {teachers.account}: everything ever charged to it\n\n{markdown(summary(teachers))}"
    told = f"Teachers: calls, answers from the journal, rejects and dollars; the cap is ${teachers.cap_dollars}"
    leave_text(KEY, about + run + account, told)

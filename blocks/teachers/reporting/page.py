"""The Prefect artifact ``teachers``: what every teacher was asked, answered, refused and was paid. Not here: the
figures (bill.py of a phase, this_run.py, summary.py of the account)."""

import logging

from blocks.teachers.calling.own_loop import apart
from blocks.teachers.reporting import this_run
from blocks.teachers.reporting.summary import markdown, summary
from configs.phases.teachers import Teachers

KEY = "teachers"
log = logging.getLogger("cogumi.teachers")


def leave_page(about: str, teachers: Teachers) -> None:
    """Leave the page in Prefect's UI, ``about`` (markdown) on top. Outside a run nothing happens; a page that cannot be
    left stops nothing."""
    from prefect.context import FlowRunContext, TaskRunContext

    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    from prefect.artifacts import acreate_markdown_artifact

    run = this_run.markdown()
    account = f"## Account {teachers.account}: everything ever charged to it\n\n{markdown(summary(teachers))}"
    told = f"Teachers: calls, answers from the journal, rejects and dollars; the cap is ${teachers.cap_dollars}"
    try:
        apart(lambda: acreate_markdown_artifact(key=KEY, markdown=about + run + account, description=told))
    except Exception as error:
        log.warning("the page of the teachers could not be left in Prefect (%s)", type(error).__name__)

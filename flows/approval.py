"""Ask a person before money is spent or a release is replaced; where nobody can be asked, the profile's rule answers.

A run of a deployment is suspended: its process ends, the UI shows a form, and on resume the flow begins again, its
finished steps from the cache. ``cogumi run`` at a terminal asks there. A scheduled run never waits. Only the outermost
flow asks: Prefect does not suspend flows within flows. Not here: what a phase may cost (tasks), and what follows from a
refusal (the error is final).
"""

import logging
import sys
from decimal import Decimal

from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from configs.errors import GateFailed
from configs.phases.nightly import Approval

log = logging.getLogger("cogumi.approval")
UNATTENDED = {"SCHEDULE", "AUTOMATION"}


class Answer(RunInput):
    """The form in the UI."""

    approve: bool = Field(
        default=False, description="On: the run goes on. Off: it ends here, and nothing is spent or promoted."
    )
    reason: str = Field(
        default="", description="Why, in a few words; it is written to the run's log and into the error of a refusal."
    )


def before_spending(phase: str, worst_case: Decimal, settings: Approval) -> None:
    """Ask before ``phase`` starts where its teacher calls may cost more than the profile's amount, in dollars.

    Raises:
        GateFailed: it was refused.
    """
    if settings.above_dollars is None or worst_case <= settings.above_dollars:
        return
    question = (
        f"The {phase} phase may spend up to ${worst_case:.2f} on teacher calls; from "
        f"${settings.above_dollars:.2f} on somebody is asked. Go on?"
    )
    _ask(question, f"spend-{phase}", settings)


def before_promotion(release: str, evidence: str, settings: Approval) -> None:
    """Ask before the release ``release`` (its digest) becomes the current one, where the profile says so; ``evidence``:
    what speaks for it.

    Raises:
        GateFailed: it was refused.
    """
    if settings.before_promotion:
        _ask(
            f"Release {release[:12]} would become the current one. {evidence} Promote it?",
            f"promote-{release[:12]}",
            settings,
        )


def _ask(question: str, key: str, settings: Approval) -> None:
    """Put ``question`` to whoever is there; ``key`` tells it from the run's other questions, so that each is asked
    once."""
    run = _this_run()
    attended = run is None or not _unattended(run)
    if attended and run is not None and run.deployment_id is not None:
        form = Answer.with_initial_data(description=question)
        answer = suspend_flow_run(wait_for_input=form, timeout=settings.wait_s, key=key)
        approved, by = answer.approve, "in the UI" + (f": {answer.reason}" if answer.reason else "")
    elif attended and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        approved, by = _at_terminal(question), "at the terminal"
    else:
        approved, by = (
            settings.unattended == "approve",
            f"by the profile's rule approval.unattended={settings.unattended}",
        )
    if not approved:
        raise GateFailed(f"approval refused {by}. {question} No.")
    log.info("approved %s. %s Yes.", by, question)


def _at_terminal(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _unattended(run: FlowRun) -> bool:
    """Whether nobody started the run: a schedule or an automation did, or another run, which cannot be suspended with
    it."""
    by = run.created_by.type if run.created_by is not None else None
    return run.auto_scheduled or by in UNATTENDED or run.parent_task_run_id is not None


def _this_run() -> FlowRun | None:
    """The run as the server knows it."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(context.flow_run.id)

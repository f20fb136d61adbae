"""The whole: every phase in order, gate by gate. The recipe is the table in phases.py; the work is in the phases.

Not here: where a phase runs (dispatch.py), the schedule (nightly), and what a gate measures (the phases).
"""

from typing import Any

from prefect import flow

from blocks.journal import history
from blocks.records import Artifact, Record
from configs.schema import load
from flows import spending
from flows.approval import before_spending
from flows.dispatch import dispatch
from flows.phases import Name, up_to
from flows.preflight import preflight
from flows.release import Released
from tasks.evaluation.held_out import held_out


class Built(Record):
    """What a run of the pipeline made; a phase that was not asked for is None."""

    dataset: Artifact | None = None
    release: Released | None = None


@flow(
    name="pipeline",
    description="Dataset, training, compression, modifiers, routing, release: every phase of a profile.",
)
def pipeline(
    profile: str = "nano",
    overrides: list[str] = [],  # noqa: B006 - the run form shows it; never changed
    until: Name = "release",
) -> Built:
    """Build what ``profile`` describes, up to and including the phase ``until``.

    Args:
        profile: what to build: nano, llama-1b, llama-8b, or the path of a YAML file
        overrides: settings that differ from the profile, each as a.b=value, such as training.fine_tuning.epochs=1
        until: the last phase to run; what it needs runs before it
    """
    chosen = load(profile, overrides)
    history.keep_in(chosen.teachers.journal)
    phases = up_to(until)
    preflight(phases, chosen)
    made: dict[str, Any] = {
        "profile": chosen,
        "overrides": overrides,
        "questions": held_out(chosen.evaluation, chosen.seed),
    }
    for phase in phases:
        before_spending(phase.name, spending.of_phase(phase, chosen), chosen.approval)
        made[phase.name] = dispatch(phase.flow(), phase.pool(chosen), *phase.given(made))
    return Built(dataset=made["dataset"], release=made.get("release"))

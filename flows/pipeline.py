"""The whole: every phase in order, gate by gate. Reads like the recipe; the work is in the phases.

Not here: where a phase runs (dispatch.py), the schedule (nightly), and what a gate measures (the phases).
"""

from typing import Literal, get_args

from prefect import flow

from blocks.journal import history
from blocks.records import Artifact, Record
from configs.schema import load
from flows import spending
from flows.approval import before_spending
from flows.compression import compression
from flows.dataset import dataset
from flows.dispatch import dispatch
from flows.modifiers import modifiers
from flows.preflight import preflight
from flows.release import Released, release
from flows.routing import routing
from flows.training import training
from tasks.evaluation.held_out import held_out

Phase = Literal["dataset", "training", "compression", "modifiers", "routing", "release"]
PHASES: tuple[Phase, ...] = get_args(Phase)


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
    until: Phase = "release",
) -> Built:
    """Build what ``profile`` describes, up to and including the phase ``until``.

    Args:
        profile: what to build: nano, llama-1b, llama-8b, or the path of a YAML file
        overrides: settings that differ from the profile, each as a.b=value, such as training.fine_tuning.epochs=1
        until: the last phase to run; what it needs runs before it
    """
    chosen = load(profile, overrides)
    history.keep_in(chosen.teachers.journal)
    last = PHASES.index(until)
    preflight(PHASES[: last + 1], chosen)
    questions = held_out(chosen.evaluation, chosen.seed)
    before_spending("dataset", spending.of_phase("dataset", chosen), chosen.approval)
    data = dispatch(dataset, chosen.pools.dataset, chosen, questions)
    if last == 0:
        return Built(dataset=data)
    trained = dispatch(training, chosen.pools.training, data, questions, chosen)
    if last == 1:
        return Built(dataset=data)
    compressed = dispatch(compression, chosen.pools.compression, trained.student, data, questions, chosen)
    if last == 2:
        return Built(dataset=data)
    before_spending("modifiers", spending.of_phase("modifiers", chosen), chosen.approval)
    modified = dispatch(modifiers, chosen.pools.modifiers, compressed.model, compressed.gguf, data, questions, chosen)
    if last == 3:
        return Built(dataset=data)
    before_spending("routing", spending.of_phase("routing", chosen), chosen.approval)
    routed = dispatch(routing, chosen.pools.routing, compressed.gguf, modified, data, questions, chosen)
    if last == 4:
        return Built(dataset=data)
    return Built(
        dataset=data,
        release=dispatch(release, chosen.pools.release, data, trained, compressed, modified, routed, chosen, overrides),
    )

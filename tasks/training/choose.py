"""Which adapter becomes the student: the fine-tuned one, unless ANIL's or its control's is no worse at answering and
surely better at adapting.

Not here: the evaluations and the few-shot comparison that this reads (tasks/evaluation, adaptation.py).
"""

import json

from blocks import store
from blocks.records import Artifact, Interval, Record
from tasks.evaluation.evaluate import read_answers
from tasks.evaluation.statistics import paired_difference
from tasks.step import step
from tasks.training.meta.adaptation import Adaptation


class Choice(Record):
    """The adapter that is merged, its evaluation, and why. ``change``: exact match, ANIL minus fine-tuned, paired."""

    adapter: Artifact
    evaluation: Artifact
    name: str
    reason: str
    change: Interval


@step(version=1)
def choose_adapter(
    tuned: Artifact,
    tuned_evaluation: Artifact,
    meta: Artifact,
    meta_evaluation: Artifact,
    adaptation: Artifact,
    allowed_loss: float,
    resamples: int,
    seed: int,
) -> Choice:
    """ANIL's adapter where it adapts surely better than the control of equal budget and loses at most ``allowed_loss``
    exact match (low end of the paired 95% interval); otherwise the fine-tuned one. ``resamples``, ``seed``: of the
    bootstrap."""
    change = difference(tuned_evaluation, meta_evaluation, resamples, seed)
    gain = Adaptation.model_validate(json.loads((store.open(adaptation) / "adaptation.json").read_text())).gain[
        "control"
    ]
    helps, holds = gain.low > 0, change.low >= -allowed_loss
    shown = (
        f"few-shot loss {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] nats below the control's, exact match "
        f"{change.mean:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"
    )
    if helps and holds:
        return Choice(
            adapter=meta, evaluation=meta_evaluation, name="ANIL", reason=f"ANIL is kept: {shown}", change=change
        )
    why = (
        "does not adapt surely better than its control"
        if not helps
        else f"may lose more than {allowed_loss:.1%} exact match"
    )
    return Choice(
        adapter=tuned, evaluation=tuned_evaluation, name="fine-tuned", reason=f"ANIL {why}: {shown}", change=change
    )


@step(version=1)
def gain(before: Artifact, after: Artifact, resamples: int, seed: int) -> Interval:
    """Exact match of ``after`` minus ``before``, paired over the same questions, with its 95% interval."""
    return difference(before, after, resamples, seed)


def difference(before: Artifact, after: Artifact, resamples: int, seed: int) -> Interval:
    """As :func:`gain`, plainly."""
    first, second = read_answers(before), read_answers(after)
    return paired_difference(
        [one.correct for one in first], [one.correct for one in second], resamples=resamples, seed=seed
    )

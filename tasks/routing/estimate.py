"""What the routing phase will ask and take, from settings alone. Not here: adding phases up
(deployments/commands/plan.py)."""

from collections.abc import Sequence

from blocks.estimates.calls import Asked, Estimate, Work
from blocks.estimates.hardware import PROCESS_BYTES, Device
from blocks.models.architecture import Architecture
from configs.phases.evaluation import Evaluation
from configs.phases.modifiers import Modifiers, coverage
from configs.phases.routing import Routing
from tasks.evaluation.estimate import by_llama_cpp, questions

PER_PROMPT = 4e-5  # seconds a prompt takes the domain classifier per epoch on one core, measured
PER_QUESTION = 4e-6  # seconds a question takes the confidence network per epoch on one core, measured


def estimate(
    settings: Routing,
    modifiers: Modifiers,
    evaluation: Evaluation,
    model: Architecture,
    bits: float,
    scratch: bool,
    on: Device | None,
    examples: int,
    written: Sequence[Asked],
) -> Estimate:
    """Time and space of the routing phase; ``written``: the calls for fresh questions of domains without a modifier.
    The base's own answers to the test questions are there from the compression phase."""
    held_out = questions(evaluation)
    fresh = settings.questions * sum(len(rest.domains) for rest in modifiers.uncovered())
    trained_on = fresh + sum(modifiers.questions * len(coverage(modifier.name).domains) for modifier in modifiers.each)
    answered = [
        sum(held_out.get(domain, 0) for domain in coverage(modifier.name).domains) for modifier in modifiers.each
    ]
    work = [
        by_llama_cpp(model, bits, count, evaluation, on=on, scratch=scratch) for count in (*answered, fresh) if count
    ]
    seconds = examples * settings.domains.epochs * PER_PROMPT + trained_on * settings.router.epochs * PER_QUESTION
    work.append(
        Work(
            step="classifier and network",
            on="cpu",
            seconds=seconds,
            memory_bytes=PROCESS_BYTES,
            disk_bytes=8.0 * settings.domains.buckets * 8,
        )
    )
    work.append(
        Work(step="teacher calls", on="cpu", seconds=sum(one.seconds for one in written), memory_bytes=0, disk_bytes=0)
    )
    return Estimate(phase="routing", asked=tuple(written), work=tuple(work))

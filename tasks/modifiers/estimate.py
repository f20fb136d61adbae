"""What the modifiers phase will ask and take, from settings alone. Nearly half the fresh questions are expected to
fail.

Not here: the training itself, whose estimate the caller gives (it is training's), adding phases up
(deployments/commands/plan.py).
"""

import math
from collections.abc import Callable

from blocks.estimates.calls import Asked, Estimate, Work, ask
from blocks.estimates.hardware import Device
from blocks.models.architecture import Architecture
from blocks.records import Domain, Question
from configs.phases.evaluation import Evaluation
from configs.phases.modifiers import Coverage, Modifiers, TeacherSource, coverage
from configs.phases.teachers import Teachers
from configs.phases.training import Lora
from tasks.evaluation.estimate import by_llama_cpp, questions
from tasks.modifiers.prompts import mend
from tasks.modifiers.writing import SPARE

# share of fresh questions that the student fails, 0.42 to 0.50 in nano runs; unknown before there is a student
FAILS = 0.45
SOLVED = 0.75  # share of failures that a tier's first answer mends, measured in a nano run
SOLVED_AGAIN = 0.35  # share of what is left that each further answer of the tier mends, measured in a nano run
CHECKED_PER_SECOND = 400.0  # answers that the checkers judge, measured
WRITTEN = 2.0  # length of a question with its check, as JSON, times the question


def estimate(
    settings: Modifiers,
    teachers: Teachers,
    evaluation: Evaluation,
    model: Architecture,
    bits: float,
    scratch: bool,
    on: Device | None,
    train: Callable[[str, Lora, float], Work],
) -> Estimate:
    """Calls, dollars, time and space of the modifiers phase. ``train`` gives the work of one LoRA training: name,
    settings, examples.

    Raises:
        BadInput: a modifier has no calibration question in its domains.
    """
    count = sum(questions(evaluation, "calibration").values())
    asked: list[Asked] = []
    work = [by_llama_cpp(model, bits, count, evaluation, on=on, scratch=scratch)]
    for modifier in settings.each:
        covers = coverage(modifier.name)
        fresh = settings.questions * len(covers.domains)
        written = fresh_questions(settings, settings.questions, covers, teachers)
        tiers = mending(settings, modifier.name, covers, fresh, teachers)
        asked += [*written, *tiers]
        mended = FAILS * fresh
        examples = mended * (1 + min(settings.mixture.own_right, (1 - FAILS) / FAILS) + settings.mixture.replay)
        waited = sum(one.seconds for one in (*written, *tiers)) + mended / CHECKED_PER_SECOND
        work += [
            Work(
                step="teacher calls and checks",
                on="cpu",
                seconds=waited,
                memory_bytes=0,
                disk_bytes=sum(one.calls for one in tiers) * 2000,
            ),
            by_llama_cpp(model, bits, fresh, evaluation, on=on, scratch=scratch),
            train(f"modifier {modifier.name}", modifier.lora, examples),
            by_llama_cpp(model, bits, count, evaluation, on=on, scratch=scratch),
        ]
    share = (
        f"{FAILS:.0%} of the fresh questions fail; a tier mends {SOLVED:.0%} at once and {SOLVED_AGAIN:.0%} of the "
        "rest with each further attempt (measured in a nano run)"
    )
    return Estimate(phase="modifiers", asked=tuple(asked), work=tuple(work), assumptions=(share,))


def of_modifier(
    settings: Modifiers, name: str, covers: Coverage, fresh: int, logged: int, teachers: Teachers
) -> list[Asked]:
    """Calls for one modifier; ``fresh`` and ``logged``: questions per domain that are written and taken from what was
    served."""
    return [
        *fresh_questions(settings, fresh, covers, teachers),
        *mending(settings, name, covers, (fresh + logged) * len(covers.domains), teachers),
    ]


def fresh_questions(settings: Modifiers, per_domain: int, covers: Coverage, teachers: Teachers) -> list[Asked]:
    """Calls that write fresh questions; none where teachers do not write them."""
    source = settings.source
    if not isinstance(source, TeacherSource):
        return []
    hard = round(per_domain * settings.hard_share)
    once = sum(math.ceil(wanted * SPARE / source.batch) for wanted in (hard, per_domain - hard) if wanted)
    again = 2 * math.ceil(per_domain * SPARE / source.batch)  # what is missing is asked for once more of either kind
    domains = len(covers.domains)
    return ask(
        source.role,
        teachers,
        calls=once * domains,
        most_calls=(once + again) * domains * source.attempts,
        least_calls=once * domains,
        template=f"{covers.description} {covers.hints.questions}" + " " * 700,
        read={},
        written={"question": source.batch * WRITTEN},
        max_tokens=source.max_tokens,
    )


def mending(settings: Modifiers, name: str, covers: Coverage, posed: int, teachers: Teachers) -> list[Asked]:
    """Calls of the cascade of the modifier ``name`` over ``posed`` questions: each tier sees what the tier before
    failed; at most every question fails every tier."""
    how, found = settings.cascade, []
    waiting = FAILS * posed
    domain: Domain = covers.domains[0]
    question = Question(id="", prompt="", domain=domain, difficulty="hard", task_type="", source="")
    template = " ".join(message.content for message in mend(question, covers))
    length = {"hard": settings.hard_share, "easy": 1 - settings.hard_share}
    for role in settings.tiers(name):
        calls, left = 0.0, waiting
        for attempt in range(how.attempts):
            calls += left
            left *= 1 - (SOLVED_AGAIN if attempt else SOLVED)
        found += ask(
            role,
            teachers,
            calls=calls,
            most_calls=posed * how.attempts,
            least_calls=0,
            template=template,
            read={"question": 1},
            written=length,
            max_tokens=how.max_tokens,
        )
        waiting = left
    return found

"""The most that a phase's teacher calls may cost, in dollars: what a person is asked about before it starts
(approval.py).

Bounded by the account's cap. What the journal holds already costs nothing, so a rerun is asked about more than it can
spend. Not here: the plan with expected costs (`cogumi plan`), and the cap itself (blocks/journal/budget.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from blocks.estimates.calls import Asked, together
from blocks.records import Domain
from blocks.teachers.block import with_blocks
from configs.phases.modifiers import Coverage, coverage
from configs.schema import Profile
from tasks.data.estimate import estimate
from tasks.modifiers.estimate import fresh_questions, mending


def of_phase(phase: str, profile: Profile) -> Decimal:
    """A phase of the pipeline: every round and attempt is used, by the dearest teacher of each chain, and every fresh
    question fails and goes through every tier."""
    return _most(asked(phase, profile), profile)


def asked(phase: str, profile: Profile) -> list[Asked]:
    """What the teachers are asked in a phase of the pipeline; nothing where it asks none."""
    teachers, modifiers = with_blocks(profile.teachers), profile.modifiers
    if phase == "dataset":
        return list(estimate(profile.data, teachers).asked)
    if phase == "modifiers":
        return [
            one
            for modifier in modifiers.each
            for one in _of_modifier(modifier.name, coverage(modifier.name), modifiers.questions, 0, profile)
        ]
    if phase == "routing":  # fresh questions of the domains without a modifier
        return [
            one
            for rest in modifiers.uncovered()
            for one in fresh_questions(modifiers, profile.routing.questions, rest, teachers)
        ]
    return []


def of_night(moved: Mapping[str, Sequence[Domain]], profile: Profile) -> Decimal:
    """A night that retrains the modifiers of ``moved`` (name to domains): all their fresh and logged questions fail."""
    calls: list[Asked] = []
    for name, domains in moved.items():
        narrowed = coverage(name).model_copy(update={"domains": tuple(domains)})
        calls += _of_modifier(name, narrowed, profile.nightly.questions, profile.nightly.logged, profile)
    return _most(calls, profile)


def _of_modifier(name: str, covers: Coverage, fresh: int, logged: int, profile: Profile) -> list[Asked]:
    """``fresh`` and ``logged``: questions per domain."""
    teachers = with_blocks(profile.teachers)
    posed = (fresh + logged) * len(covers.domains)
    return [
        *fresh_questions(profile.modifiers, fresh, covers, teachers),
        *mending(profile.modifiers, name, covers, posed, teachers),
    ]


def _most(calls: Iterable[Asked], profile: Profile) -> Decimal:
    return min(Decimal(together(calls).most_dollars), profile.teachers.cap_dollars)

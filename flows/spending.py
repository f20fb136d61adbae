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
from configs.phases.modifiers import coverage
from configs.schema import Profile
from flows.phases import Phase
from tasks.modifiers.estimate import of_modifier


def of_phase(phase: Phase, profile: Profile) -> Decimal:
    """A phase of the pipeline: every round and attempt is used, by the dearest teacher of each chain, and every fresh
    question fails and goes through every tier."""
    return _most(asked(phase, profile), profile)


def asked(phase: Phase, profile: Profile) -> list[Asked]:
    """What the teachers are asked in a phase of the pipeline; nothing where it asks none."""
    return phase.asked(profile, with_blocks(profile.teachers)) if phase.asked else []


def of_night(moved: Mapping[str, Sequence[Domain]], profile: Profile) -> Decimal:
    """A night that retrains the modifiers of ``moved`` (name to domains): all their fresh and logged questions fail."""
    settings, teachers = profile.nightly, with_blocks(profile.teachers)
    calls: list[Asked] = []
    for name, domains in moved.items():
        narrowed = coverage(name).model_copy(update={"domains": tuple(domains)})
        calls += of_modifier(
            profile.modifiers, name, narrowed, fresh=settings.questions, logged=settings.logged, teachers=teachers
        )
    return _most(calls, profile)


def _most(calls: Iterable[Asked], profile: Profile) -> Decimal:
    return min(Decimal(together(calls).most_dollars), profile.teachers.cap_dollars)

"""The most that a phase's teacher calls may cost, in dollars: what a person is asked about before it starts (approval.py).

Bounded by the account's cap. What the journal holds already costs nothing, so a rerun is asked about more than it can spend.
Not here: the plan with expected costs (`cogumi plan`), and the cap itself (blocks/budget.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from blocks.estimates import Asked, together
from blocks.records import Domain
from blocks.teachers.block import with_blocks
from configs.phases.modifiers import Coverage, coverage
from configs.schema import Profile
from tasks.data.estimate import estimate
from tasks.modifiers.estimate import fresh_questions, mending


def of_dataset(profile: Profile) -> Decimal:
    """The dataset phase: every round and attempt is used, by the dearest teacher of each chain."""
    return _most(estimate(profile.data, with_blocks(profile.teachers)).asked, profile)


def of_modifiers(profile: Profile) -> Decimal:
    """The modifiers phase: every fresh question fails and goes through every tier."""
    return _most([one for modifier in profile.modifiers.each for one in _of_modifier(modifier.name, coverage(modifier.name), profile.modifiers.questions, 0, profile)], profile)


def of_routing(profile: Profile) -> Decimal:
    """The routing phase: fresh questions of the domains without a modifier."""
    teachers = with_blocks(profile.teachers)
    return _most([one for rest in profile.modifiers.uncovered() for one in fresh_questions(profile.modifiers, profile.routing.questions, rest, teachers)], profile)


def of_night(moved: Mapping[str, Sequence[Domain]], profile: Profile) -> Decimal:
    """A night that retrains the modifiers of ``moved`` (name to domains): all their fresh and logged questions fail."""
    asked: list[Asked] = []
    for name, domains in moved.items():
        narrowed = coverage(name).model_copy(update={"domains": tuple(domains)})
        asked += _of_modifier(name, narrowed, profile.nightly.questions, profile.nightly.logged, profile)
    return _most(asked, profile)


def _of_modifier(name: str, covers: Coverage, fresh: int, logged: int, profile: Profile) -> list[Asked]:
    """``fresh`` and ``logged``: questions per domain."""
    teachers = with_blocks(profile.teachers)
    posed = (fresh + logged) * len(covers.domains)
    return [*fresh_questions(profile.modifiers, fresh, covers, teachers), *mending(profile.modifiers, name, covers, posed, teachers)]


def _most(asked: Iterable[Asked], profile: Profile) -> Decimal:
    return min(Decimal(together(asked).most_dollars), profile.teachers.cap_dollars)

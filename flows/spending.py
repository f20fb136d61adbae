"""The most that a phase's teacher calls may cost, in dollars: what a person is asked about before it starts (approval.py).

Bounded by the account's cap. What the journal holds already costs nothing, so a rerun is asked about more than it can spend.
Not here: the plan with expected costs (`cogumi plan`), and the cap itself (blocks/budget.py).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from blocks.teachers.block import with_blocks
from configs.phases.modifiers import coverage
from configs.schema import Profile
from tasks.data.estimate import estimate
from tasks.improvement.estimate import mending, writing


def of_dataset(profile: Profile) -> Decimal:
    """The dataset phase: every round and attempt is used, by the dearest teacher of each chain."""
    return _capped(sum((one.most_dollars for one in estimate(profile.data, with_blocks(profile.teachers)).asked), Decimal(0)), profile)


def of_modifiers(profile: Profile) -> Decimal:
    """The modifiers phase: every fresh question fails and goes through every tier."""
    fresh = {modifier.name: profile.modifiers.questions * len(coverage(modifier.name).domains) for modifier in profile.modifiers.each}
    return _capped(_mended(fresh, profile) + writing(sum(fresh.values()), profile.modifiers, with_blocks(profile.teachers)), profile)


def of_routing(profile: Profile) -> Decimal:
    """The routing phase: fresh questions of the domains without a modifier."""
    fresh = profile.routing.questions * sum(len(rest.domains) for rest in profile.modifiers.uncovered())
    return _capped(writing(fresh, profile.modifiers, with_blocks(profile.teachers)), profile)


def of_night(moved: Mapping[str, Sequence[str]], profile: Profile) -> Decimal:
    """A night that retrains the modifiers of ``moved`` (name to domains): all their fresh and logged questions fail."""
    domains = {name: len(those) for name, those in moved.items()}
    asked = {name: count * (profile.nightly.questions + profile.nightly.logged) for name, count in domains.items()}
    return _capped(_mended(asked, profile) + writing(sum(domains.values()) * profile.nightly.questions, profile.modifiers, with_blocks(profile.teachers)), profile)


def _mended(questions: Mapping[str, int], profile: Profile) -> Decimal:
    return mending(questions, profile.modifiers, with_blocks(profile.teachers), profile.evaluation.context)


def _capped(dollars: Decimal, profile: Profile) -> Decimal:
    return min(dollars, profile.teachers.cap_dollars)

"""The most that a night's teacher calls can cost, before any is made. Not here: the budget's own reservations (blocks/budget.py)."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from configs.phases.modifiers import Modifiers, TeacherSource
from configs.phases.nightly import Nightly
from configs.phases.teachers import Teachers

INSTRUCTIONS = 600  # tokens around a question: what the teacher is told, generously
SPARE = Decimal("1.25")  # questions asked for per question wanted


def worst_case(moved: Mapping[str, Sequence[str]], nightly: Nightly, modifiers: Modifiers, teachers: Teachers, longest: int) -> Decimal:
    """Dollars if every question of the ``moved`` domains fails, every tier uses all its attempts, and the dearest teacher of each role
    answers at full length. ``longest``: of a question, in tokens."""
    total = Decimal(0)
    for name, domains in moved.items():
        questions = len(domains) * (nightly.questions + nightly.logged)
        for role in modifiers.tiers(name):
            total += questions * modifiers.cascade.attempts * _dearest(teachers, role, longest + INSTRUCTIONS, modifiers.cascade.max_tokens)
        source = modifiers.source
        if isinstance(source, TeacherSource):
            calls = math.ceil(len(domains) * nightly.questions * SPARE / source.batch) * source.attempts
            total += calls * _dearest(teachers, source.role, INSTRUCTIONS, source.max_tokens)
    return total


def _dearest(teachers: Teachers, role: str, prompt: int, answer: int) -> Decimal:
    """Dollars of one call to the dearest teacher of ``role``."""
    prices = [teachers.models[name].prices for name in teachers.roles[role]]
    return max((prompt * max(price.input, price.cache_write) + answer * price.output) / 1_000_000 for price in prices)

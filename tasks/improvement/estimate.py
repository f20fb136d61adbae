"""The most that asking for questions and mending failures can cost, before any call is made. Not here: expected costs (the phases' own
estimates), and the budget's reservations (blocks/budget.py)."""

import math
from collections.abc import Mapping
from decimal import Decimal

from configs.phases.modifiers import Modifiers, TeacherSource
from configs.phases.teachers import Teachers

INSTRUCTIONS = 600  # tokens around a question: what the teacher is told, generously
SPARE = Decimal("1.25")  # questions asked for per question wanted


def mending(questions: Mapping[str, int], modifiers: Modifiers, teachers: Teachers, longest: int) -> Decimal:
    """Dollars if all ``questions`` (how many, by modifier) fail, every tier uses all its attempts, and the dearest teacher of each role
    answers at full length. ``longest``: of a question, in tokens."""
    how = modifiers.cascade
    return sum(
        (count * how.attempts * _dearest(teachers, role, longest + INSTRUCTIONS, how.max_tokens) for name, count in questions.items() for role in modifiers.tiers(name)), Decimal(0)
    )


def writing(questions: int, modifiers: Modifiers, teachers: Teachers) -> Decimal:
    """Dollars if every call for ``questions`` fresh questions is repeated as often as it may be; nothing where teachers do not write them."""
    source = modifiers.source
    if not isinstance(source, TeacherSource):
        return Decimal(0)
    calls = 3 * math.ceil(questions * SPARE / source.batch)  # what is missing is asked for once more of either difficulty
    return calls * source.attempts * _dearest(teachers, source.role, INSTRUCTIONS, source.max_tokens)


def _dearest(teachers: Teachers, role: str, prompt: int, answer: int) -> Decimal:
    """Dollars of one call to the dearest teacher of ``role``."""
    prices = [teachers.models[name].prices for name in teachers.roles[role]]
    return max((prompt * max(price.input, price.cache_write) + answer * price.output) / 1_000_000 for price in prices)

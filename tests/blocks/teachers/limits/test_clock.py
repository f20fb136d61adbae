"""Rate limits when the clock is set: nobody waits for a time that the clock has taken back."""

import pytest
from sqlalchemy import select

from blocks.journal.journal import Journal, rates
from blocks.teachers.limits.clock import FIRST_LOOK_S, NAME
from blocks.teachers.limits.rates import Rate
from blocks.teachers.paying import claims
from blocks.teachers.paying.claims import Slot, apply

RATE = Rate("openai/m", 60, None)  # one a second
OTHER = Rate("groq/m", 6, None)


def wait(monkeypatch: pytest.MonkeyPatch, now: float, *slots: Rate) -> list[float]:
    """The seconds that each slot waits, taken at ``now``."""
    monkeypatch.setattr(claims, "clock", lambda _: now)
    return [float(str(found)) for found in apply(Journal(None), [Slot(rate, 1) for rate in slots])]


def test_a_clock_that_was_an_hour_ahead_makes_nobody_wait_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(monkeypatch, 1_003_600, RATE, RATE, OTHER, OTHER) == [0, 1, 0, 10]
    assert wait(monkeypatch, 1_000_000, RATE) == [2]
    assert wait(monkeypatch, 1_000_001, RATE, OTHER) == [2, 19], "limits hold as before, those of others too"


def test_a_clock_that_goes_on_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(monkeypatch, 1_000_000, RATE, RATE, RATE) == [0, 1, 2]
    assert wait(monkeypatch, 1_000_001.5, RATE) == [1.5]
    assert wait(monkeypatch, 1_000_001, RATE) == [3], "half a second back is within what clocks do"
    assert wait(monkeypatch, 1_001_000, RATE) == [0]


def test_a_journal_without_a_noted_clock_waits_two_minutes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    wait(monkeypatch, 1_003_600, RATE)
    with Journal(None).writing() as db:
        db.execute(rates.delete().where(rates.c.name == NAME))
    assert wait(monkeypatch, 1_000_000, RATE) == [FIRST_LOOK_S]
    with Journal(None).reading() as db:
        assert set(db.execute(select(rates.c.name)).scalars()) == {"openai/m", NAME}

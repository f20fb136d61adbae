"""The worst case of a cascade bounds what it really asked and paid; and what makes it grow."""

from decimal import Decimal

import pytest

from blocks import store
from blocks.estimates.calls import together
from configs.phases.modifiers import Modifiers, TeacherSource, coverage
from configs.schema import load
from tasks.modifiers.estimate import fresh_questions, mending
from tests.tasks.modifiers.test_cascade import FAILS, mend
from tests.tasks.modifiers.world import CASCADE, TIERS, failed, teachers

SOURCE = TeacherSource(kind="teachers", role="questions", batch=10, max_tokens=600, temperature=0.7, attempts=2)


@pytest.fixture
def settings() -> Modifiers:
    return load("nano").modifiers.model_copy(update={"cascade": CASCADE})


def test_a_cascade_asks_and_pays_no_more_than_the_worst_case(settings: Modifiers) -> None:
    made = mend(failed(FAILS))
    planned = mending(settings, "reasoning", coverage("reasoning"), 90, teachers())
    assert [one.role for one in planned] == list(TIERS)
    most = together(planned)
    assert 0 < made.metrics["calls"] <= most.most_calls == 90 * CASCADE.attempts * len(TIERS)
    assert 0 < store.manifest(made).dollars <= most.most_dollars


def test_the_worst_case_grows_with_what_is_asked_and_with_the_price_of_the_prompt_cache(settings: Modifiers) -> None:
    covers, known = coverage("code"), teachers()
    one = together(mending(settings, "code", covers, 100, known)).most_dollars
    assert together(mending(settings, "code", covers, 200, known)).most_dollars == 2 * one > 0
    assert together(mending(settings, "code", covers, 0, known)).most_dollars == 0
    models = {
        name: model.model_copy(update={"prices": model.prices.model_copy(update={"cache_write": Decimal(1)})})
        for name, model in known.models.items()
    }
    dearer = together(mending(settings, "code", covers, 100, known.model_copy(update={"models": models})))
    assert dearer.most_dollars > one
    assert dearer.dollars == together(mending(settings, "code", covers, 100, known)).dollars, (
        "no prompt cache is counted on in what is expected"
    )


def test_questions_cost_only_where_teachers_write_them(settings: Modifiers) -> None:
    covers, known = coverage("code"), teachers()
    assert fresh_questions(settings, 100, covers, known) == []
    written = together(fresh_questions(settings.model_copy(update={"source": SOURCE}), 100, covers, known))
    assert 0 < written.dollars < written.most_dollars

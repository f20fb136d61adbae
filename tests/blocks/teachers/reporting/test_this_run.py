"""What a run asked of its teachers: new calls, answers from the journal, rejects; and the page that says so."""

from decimal import Decimal

import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from blocks.teachers.calling.ask import ask, dollars
from blocks.teachers.reporting.page import leave_page
from blocks.teachers.reporting.this_run import Tally, markdown, tallies
from configs.errors import BudgetSpent
from configs.phases.teachers import Teachers
from tests.blocks.teachers.conftest import requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.test_prefect import pages

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.slow]


@task(cache_policy=NO_CACHE)
def inside(count: int, teachers: Teachers) -> Decimal:
    return dollars(ask(requests(count), "questions", teachers))


@flow
def phase(counts: list[int], teachers: Teachers) -> tuple[dict[str, Tally], str, Decimal]:
    paid = sum((inside(count, teachers) for count in counts), Decimal(0))
    return {teacher: tally for (_, teacher), tally in tallies().items()}, markdown(), paid


def test_new_calls_hits_and_rejects_are_this_runs_own(server: Running) -> None:
    server.plan(modes={"strict": "400"}, code={"400": "context_length_exceeded"})
    teachers = settings(teacher(server.url, "strict"), teacher(server.url, "kind"))
    found, page, paid = phase([2], teachers)
    assert (found["t0"].calls, found["t1"].calls, found["t1"].journal_hits) == (2, 2, 0)
    assert sum(found["t0"].rejects.values()) == 2, "the refusals of the teacher that was passed over are counted"
    assert found["t1"].rejects == {}
    assert sum((one.dollars for one in found.values()), Decimal(0)) == paid > 0
    assert f"| all |  | 4 | 0 | ${paid:f} |" in page
    found, page, _ = phase([2, 5, 5], teachers)
    assert (found["t1"].calls, found["t1"].journal_hits) == (3, 2 + 2 + 5), "only three of five were new to the journal"
    assert found["t0"].calls == 3
    found, page, _ = phase([], teachers)
    assert found == {}
    assert "No teacher was asked" in page


def test_a_run_that_stops_for_money_shows_what_it_asked(server: Running) -> None:
    @flow
    def stopping(teachers: Teachers) -> None:
        leave_page("", teachers)
        ask(requests(50), "questions", teachers)

    with pytest.raises(BudgetSpent):
        stopping(settings(teacher(server.url), cap_dollars=Decimal("0.001")))
    page = pages()
    told = next(line for line in page.split("\n") if line.startswith("| questions | t0 |"))
    assert 0 < int(told.split("|")[3]) < 50
    assert page.index("**Stopped:**") < page.index("## This run") < page.index("## Account test")


def test_outside_of_runs_nothing_is_told(server: Running) -> None:
    ask(requests(1), "questions", settings(teacher(server.url)))
    assert tallies() == {}

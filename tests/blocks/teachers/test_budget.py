"""The budget: exact money, and a cap that no order of calls, kill or second process exceeds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.journal.budget import Usage, nano, price, to_dollars, worst_case
from blocks.journal.journal import Journal
from blocks.models.template import Message
from blocks.teachers.calling.ask import ask, dollars
from blocks.teachers.reporting.summary import summary
from configs.errors import BudgetSpent
from configs.phases.teachers import Prices
from tests.blocks.teachers.conftest import PRICES, requests, settings, teacher
from tests.blocks.teachers.server import Running
from tests.blocks.teachers.workers import asking, code

per_million = st.decimals(min_value=0, max_value=200, places=4, allow_nan=False)
tokens = st.integers(0, 200_000)


@given(st.integers(0, 10**15))
def test_money_is_exact_both_ways(amount: int) -> None:
    assert nano(to_dollars(amount)) == amount


@given(
    st.builds(
        Prices,
        input=per_million,
        cached=per_million,
        cache_write=per_million,
        output=per_million,
        batch=st.just(Decimal(1)),
    ),
    tokens,
    tokens,
    tokens,
    tokens,
)
def test_a_price_is_the_exact_sum_rounded_up_to_a_billionth(
    prices: Prices, fresh: int, cached: int, written: int, completion: int
) -> None:
    usage = Usage(prompt=fresh + cached + written, cached=cached, written=written, completion=completion)
    exact = (
        fresh * prices.input + cached * prices.cached + written * prices.cache_write + completion * prices.output
    ) / Decimal(1_000_000)
    assert 0 <= to_dollars(price(prices, usage, batch=False)) - exact < Decimal("1e-9")


@given(st.text(max_size=300), st.integers(1, 4096), st.data())
def test_the_worst_case_covers_every_possible_use(text: str, max_tokens: int, data: st.DataObject) -> None:
    """A tokenizer makes at most one token of a byte, whatever share of them is cached."""
    prompt = data.draw(st.integers(0, len(text.encode(errors="replace")) + 16))
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    usage = Usage(prompt=prompt, cached=cached, written=written, completion=data.draw(st.integers(0, max_tokens)))
    assert price(PRICES, usage, batch=False) <= worst_case(
        PRICES, [Message(role="user", content=text)], max_tokens, batch=False
    )


def test_a_spent_budget_keeps_what_was_made_and_says_what_the_rest_would_cost(server: Running) -> None:
    probe = settings(teacher(server.url))
    cost = dollars(ask(requests(1), "questions", probe))
    cap = cost * 21
    teachers = settings(teacher(server.url), cap_dollars=cap)
    with pytest.raises(BudgetSpent) as error:
        ask(requests(60), "questions", teachers)
    assert "of the cap of $" in str(error.value)
    remaining = int(str(error.value).split(" calls for questions remain")[0].split()[-1])
    (told,) = summary(teachers)
    assert told.calls == 60 - remaining
    assert 0 < told.spent <= cap
    assert told.spent == Decimal(server.counts()["nano"]).scaleb(-9)
    worst = to_dollars(worst_case(PRICES, requests(1)[0].messages, 20, batch=False))
    assert cap - told.spent < worst + cost, "it stopped only when the next call's worst case did not fit"
    tries = sum(server.counts()["tries"].values())
    answers = ask(requests(60), "questions", settings(teacher(server.url)))
    assert sum(answer.from_journal for answer in answers) == 60 - remaining
    assert sum(server.counts()["tries"].values()) == tries + remaining, "a raised cap pays only for the rest"


def test_a_cap_of_nothing_stops_before_the_first_call_but_what_is_known_stays_free(server: Running) -> None:
    ask(requests(3), "questions", settings(teacher(server.url)))
    assert len(ask(requests(3), "questions", settings(teacher(server.url), cap_dollars=Decimal(0)))) == 3
    with pytest.raises(BudgetSpent):
        ask(requests(3, 10), "questions", settings(teacher(server.url), account="poor", cap_dollars=Decimal(0)))
    assert sum(server.counts()["tries"].values()) == 3


def test_failover_does_not_escape_the_budget(server: Running) -> None:
    server.plan(modes={"strict": "400"}, code={"400": "content_filter"})
    dear = teacher(server.url, "m", prices=PRICES.model_copy(update={"output": Decimal(4000)}))
    teachers = settings(teacher(server.url, "strict"), dear, cap_dollars=Decimal("0.01"))
    with pytest.raises(BudgetSpent):
        ask(requests(2), "questions", teachers)
    assert server.counts()["charged"] == {}
    with pytest.raises(BudgetSpent):
        ask(requests(2), "questions", settings(dear, teacher(server.url), cap_dollars=Decimal("0.01")))
    assert server.counts()["charged"] == {}, (
        "the cheaper second teacher is for refusals, not for what the first would cost"
    )


def test_accounts_are_separate_and_answers_are_shared(server: Running) -> None:
    one, other = settings(teacher(server.url), account="one"), settings(teacher(server.url), account="other")
    ask(requests(4), "questions", one)
    assert all(answer.from_journal for answer in ask(requests(4), "questions", other))
    assert [told.spent for told in summary(other)] == [0]
    assert summary(other)[0].journal_hits == 4


def test_two_processes_never_exceed_the_cap_together(server: Running) -> None:
    cost = dollars(ask(requests(1), "questions", settings(teacher(server.url))))
    cap = cost * 120
    running = [asking(server.url, 150, start=start, cap=cap) for start in (1000, 2000)]
    assert [code(process) for process in running] == [4, 4]
    spent = Decimal(server.counts()["nano"]).scaleb(-9)
    assert cap * Decimal("0.9") < spent <= cap


def test_two_processes_that_ask_the_same_pay_once(server: Running) -> None:
    server.plan(latency_s=0.05)
    running = [asking(server.url, 100), asking(server.url, 100)]
    assert [code(process) for process in running] == [0, 0]
    counts = server.counts()
    assert len(counts["tries"]) == 100
    assert set(counts["tries"].values()) == {1}


def test_the_account_is_what_the_calls_say(server: Running) -> None:
    from sqlalchemy import func, select

    from blocks.journal.budget import accounts
    from blocks.journal.journal import INTENT, calls

    server.plan(shares={"cut": 0.2, "500": 0.2, "504": 0.1})
    ask(requests(80), "questions", settings(teacher(server.url)))
    with Journal(None).reading() as db:
        row = db.execute(select(accounts)).one()
        assert row.spent == db.execute(select(func.sum(calls.c.price))).scalar_one()
        assert (
            row.reserved
            == db.execute(
                select(func.coalesce(func.sum(calls.c.reserved), 0)).where(calls.c.state == INTENT)
            ).scalar_one()
        )


@pytest.mark.all
def test_four_processes_with_every_fault_never_exceed_the_cap_together(server: Running) -> None:
    server.plan(
        shares={"429": 0.03, "500": 0.03, "504": 0.02, "cut": 0.03, "broken": 0.02, "schema": 0.02, "twice": 0.02}
    )
    cost = dollars(ask(requests(1), "questions", settings(teacher(server.url))))
    cap = cost * 5000
    running = [
        asking(server.url, 2500, start=start, cap=cap, concurrency=16) for start in (0, 1500, 10_000, 20_000)
    ]  # the first two ask a thousand in common
    assert [code(process) for process in running] == [4, 4, 4, 4]
    counts = server.counts()
    charged = Decimal(counts["nano"]).scaleb(-9)
    (told,) = summary(settings(teacher(server.url)))
    assert charged <= told.spent <= cap
    assert cap - told.spent < Decimal("0.001"), "and it was used up"
    assert max(counts["delivered"].values()) == 1
    print(
        f"cap ${cap}, account ${told.spent}, server charged ${charged} for {sum(counts['charged'].values())} answers, "
        f"{told.lost} of them unseen"
    )

"""The bill of a phase: what its artifacts say, beside the plan, and the rest at the prices so far."""

from decimal import Decimal

import pytest

from blocks import store
from blocks.estimates.calls import Asked
from blocks.records import Artifact
from blocks.teachers.paying.bill import Paid, bill, paid, prices_so_far


def made(dollars: str, **metrics: float) -> Artifact:
    with store.create("examples", settings={"dollars": dollars} | metrics) as folder:
        folder.dollars = Decimal(dollars)
        folder.metrics |= metrics
    return folder.artifact


def plan(dollars: str, calls: float = 10) -> Asked:
    each = Decimal(dollars)
    return Asked(
        role="r",
        teacher="t",
        calls=calls,
        most_calls=2 * calls,
        prompt_tokens=1,
        completion_tokens=1,
        dollars=each,
        most_dollars=3 * each,
        least_dollars=each / 2,
        seconds=1,
    )


def rows(page: str) -> dict[str, list[str]]:
    """By first cell, the rest of each table row."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.split("\n") if line.startswith("| ")
    ]
    return {first: rest for first, *rest in cells}


def test_what_is_made_stands_beside_its_plan_and_the_rest_costs_what_was_paid_for_each_planned_dollar() -> None:
    first = paid(
        "code: answers", made("0.30", calls=7, rejected_wrong=2, rejected_cut_off=3), [plan("0.1"), plan("0.1")]
    )
    second = paid("code: questions", made("0"), [])
    page = bill("modifiers", [second, first], {"reasoning: answers": plan("0.4", calls=20)})
    assert "$0.3000 for what is made, about $0.6000 for the rest." in page
    found = rows(page)
    assert found["code: answers"] == ["7", "20", "$0.3000", "$0.2000", "cut_off 3, wrong 2"]
    assert found["code: questions"] == ["0", "0", "$0.0000", "$0.0000", ""]
    assert found["reasoning: answers"] == ["20", "$0.6000", "$1.2000"]
    assert "times 1.50" in page


def test_what_an_artifact_does_not_say_is_left_open() -> None:
    assert paid("old", made("0.5"), None) == Paid(
        name="old", calls=None, dollars=Decimal("0.5"), rejects={}, planned=None
    )
    assert rows(bill("dataset", [paid("old", made("0.5"), None)], {}))["old"] == ["", "", "$0.5000", "", ""]


@pytest.mark.parametrize("known", [[], [paid]])
def test_nothing_planned_yet_means_the_plans_own_prices(known: list[object]) -> None:
    assert prices_so_far([paid("a", made("0.5"), None) for _ in known]) == 1

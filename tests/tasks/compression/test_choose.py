"""The rule for what is used further, and the order in which exports are tried."""

import pytest

from blocks.records import Artifact, Interval, LedgerRow
from tasks.compression.choose import REVERTED, Book, Measured, count_parameters, keep
from tests.tasks.compression.conftest import compression


def measured(name: str, perplexity: float, verdict: str = "no worse") -> Measured:
    artifact = Artifact(kind="model", digest=name, uri="", bytes=1)
    row = LedgerRow(
        step=name,
        model=name,
        bytes=1,
        parameters=1,
        bits_per_parameter=8,
        perplexity=perplexity,
        exact_match=Interval(mean=0.5, low=0.4, high=0.6, n=10),
        by_domain={},
        tokens_per_second=1,
        difference=None,
        verdict=verdict,
    )
    return Measured(model=artifact, evaluation=artifact, row=row)


def book(*found: Measured) -> Book:
    made = Book(Artifact(kind="questions", digest="q", uri="", bytes=1), 1, None, 0)  # type: ignore[arg-type]
    made.rows = [one.row for one in found]
    return made


def test_a_reverted_step_is_not_used() -> None:
    before, good, bad = measured("a", 2.0), measured("b", 2.0), measured("c", 2.0, REVERTED)
    assert keep(before, good) is good
    assert keep(before, bad) is before


@pytest.mark.parametrize(
    ("perplexity", "verdict", "reverted"),
    [(2.9, "kept", False), (3.1, "kept", True), (float("inf"), "better", True), (2.0, REVERTED, True)],
)
def test_perplexity_is_compared_with_the_first_row_and_the_ledger_says_so(
    perplexity: float, verdict: str, reverted: bool
) -> None:
    first, after = measured("student", 2.0), measured("recovered", perplexity, verdict)
    ledger = book(first, after)
    found = ledger.within_perplexity(after, 1.5)
    assert found.reverted == reverted
    assert ledger.rows == [first.row, found.row]
    if reverted and verdict != REVERTED:
        assert "above 3.000; the model before is used instead" in ledger.rows[1].note


def test_exports_are_tried_from_small_to_large_each_once() -> None:
    assert [name for name, _ in compression().gguf.in_order] == ["Q5_K_M", "Q8_0", "F16"]
    assert [name for name, _ in compression(gguf={"served": "Q8_0", "reference": "Q8_0"}).gguf.in_order] == ["Q8_0"]


def test_parameters_count_a_tied_head_once(model: Artifact) -> None:
    assert count_parameters(model) == 1_902_336

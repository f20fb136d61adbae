import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput
from configs.phases.data import Data
from tasks.data.write.plan import apportion, plan, read_plan, share_out


@given(st.integers(0, 10_000), st.lists(st.integers(1, 50), min_size=1, max_size=16))
def test_apportioning_adds_up_and_stays_within_one_of_the_exact_share(total: int, weights: list[int]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    counts = apportion(total, shares)
    assert sum(counts) == total
    assert all(abs(count - total * share) <= 1 + 1e-9 for count, share in zip(counts, shares, strict=True))


def test_a_plan_of_eight_domains_is_forty_sixty(settings: Data) -> None:
    cells = share_out(settings.planning.model_copy(update={"examples": 60_000}))
    assert sum(cell.keep for cell in cells) == 60_000
    assert sum(cell.keep for cell in cells if cell.difficulty == "hard") == 36_000
    assert {cell.domain for cell in cells} == set(settings.planning.domains)
    assert all(cell.ask >= cell.keep for cell in cells)


def test_shares_are_relative_and_a_difficulty_without_a_share_has_no_cell(settings: Data) -> None:
    domains = {
        "math": settings.planning.domains["math"].model_copy(update={"share": 3.0}),
        "coding": settings.planning.domains["coding"].model_copy(update={"share": 1.0}),
    }
    cells = share_out(settings.planning.model_copy(update={"examples": 400, "hard_share": 0.0, "domains": domains}))
    assert [(cell.domain, cell.difficulty, cell.keep) for cell in cells] == [
        ("math", "easy", 300),
        ("coding", "easy", 100),
    ]


def test_an_unknown_domain_is_refused(settings: Data) -> None:
    domains = {"poetry": settings.planning.domains["math"]}
    with pytest.raises(BadInput, match="unknown domain 'poetry'"):
        share_out(settings.planning.model_copy(update={"domains": domains}))


def test_the_plan_is_an_artifact_that_reads_back(settings: Data) -> None:
    made = plan.fn(settings.planning, 5)
    seed, cells = read_plan(made)
    assert seed == 5
    assert cells == share_out(settings.planning)
    assert made.metrics["examples"] == settings.planning.examples

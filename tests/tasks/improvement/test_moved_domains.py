"""Which domains moved: enough answers, surely worse than at release."""

from hypothesis import given
from hypothesis import strategies as st

from configs.phases.nightly import Moving
from configs.settings import LEAST
from tasks.evaluation.statistics import wilson
from tasks.improvement.moved_domains import Cluster, clusters, moved
from tasks.improvement.observe import Observed, Source

COVERS = {"code": ("coding",), "reasoning": ("math", "reasoning")}
MOVING = Moving(records=10, share=0.3, drift=0.2)


def observed(
    domain: str,
    right: bool | None,
    number: int,
    source: Source = "serving",
    escalated: bool = False,
    fallback: bool = False,
) -> Observed:
    return Observed(
        id=f"{domain}-{number}",
        source=source,
        time=f"t{number}",
        prompt=None,
        domain=domain,
        task_type=f"{domain}-kind",
        right=right,
        reason="",
        doubted=escalated,
        escalated=escalated,
        fallback=fallback,
    )


def answers(
    domain: str,
    wrong: int,
    right: int,
    unjudged: int = 0,
    source: Source = "serving",
    escalated: int = 0,
    fallbacks: int = 0,
) -> list[Observed]:
    verdicts = [False] * wrong + [True] * right + [None] * unjudged
    return [
        observed(
            domain=domain,
            right=verdict,
            number=number,
            source=source,
            escalated=number < escalated,
            fallback=number < fallbacks,
        )
        for number, verdict in enumerate(verdicts)
    ]


def decide(rows: list[Observed], failed: float = 0.2, doubted: float = 0.1, settings: Moving = MOVING) -> list[Cluster]:
    domains = ("coding", "math", "reasoning", "reading")
    return clusters(rows, COVERS, dict.fromkeys(domains, failed), dict.fromkeys(domains, doubted), settings)


def test_a_domain_that_fails_surely_more_often_than_at_release_moves() -> None:
    (found,) = decide(answers("coding", 9, 3))
    assert (found.moved, found.decided, found.failed, found.judged, found.families) == (
        True,
        True,
        9,
        12,
        {"coding-kind": 9},
    )
    assert found.failure == wilson(9, 12)
    assert "75% wrong" in found.why
    assert moved([found]) == {"code": ["coding"]}


def test_too_few_answers_wait_for_more() -> None:
    (found,) = decide(answers("coding", 9, 0))
    assert (found.moved, found.decided) == (False, False)
    assert "10 are needed" in found.why
    (found,) = decide(answers("coding", 5, 4, unjudged=30))
    assert (found.moved, found.decided) == (False, False), (
        "those that are judged are too few, the others say nothing by themselves"
    )


def test_neither_the_usual_rate_nor_a_small_one_moves_a_domain() -> None:
    assert not decide(answers("coding", 5, 7), failed=0.4)[0].moved, "the interval reaches down to the rate at release"
    assert not decide(answers("coding", 5, 15), failed=0.0)[0].moved, (
        "surely more than at release, but below the share that is asked"
    )
    assert decide(answers("coding", 5, 15), failed=0.0, settings=MOVING.model_copy(update={"share": 0.2}))[0].moved


def test_answers_that_nobody_judged_move_a_domain_by_their_escalations_and_fallbacks() -> None:
    assert decide(answers("math", 0, 0, unjudged=20, escalated=15))[0].moved
    found = decide(answers("math", 0, 0, unjudged=20, fallbacks=15))[0]
    assert found.moved
    assert found.fallbacks == 15
    assert not decide(answers("math", 0, 0, unjudged=20, escalated=15), doubted=0.6)[0].moved
    assert not decide(
        answers("math", 0, 0, unjudged=20, escalated=15), settings=MOVING.model_copy(update={"drift": 0.5})
    )[0].moved
    assert decide(answers("math", 0, 0, unjudged=20))[0].decided


def test_sources_are_looked_at_apart() -> None:
    good, bad = answers("coding", 0, 200, source="evaluation"), answers("coding", 12, 0)
    found = decide([*good, *bad])
    assert [(one.source, one.moved) for one in found] == [("evaluation", False), ("serving", True)]
    assert moved(found) == {"code": ["coding"]}


def test_a_domain_without_modifier_moves_and_is_left_alone() -> None:
    (found,) = decide(answers("reading", 12, 0))
    assert found.moved
    assert "only a run of the whole profile can mend it" in found.why
    assert moved([found]) == {}


def test_domains_of_one_modifier_come_together_once() -> None:
    rows = [*answers("math", 12, 0), *answers("reasoning", 12, 0), *answers("math", 30, 0, source="evaluation")]
    assert moved(decide(rows)) == {"reasoning": ["math", "reasoning"]}


SHARES = st.just(0.0) | st.floats(LEAST, 1)  # settings are 0 or not nearer to it


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.floats(0, 1), st.integers(1, 40), SHARES)
def test_more_failures_never_unmove_a_domain(
    wrong: int, right: int, unjudged: int, before: float, least: int, share: float
) -> None:
    settings = Moving(records=least, share=share, drift=1)
    if wrong + right + unjudged == 0:
        return
    (found,) = decide(answers("coding", wrong, right, unjudged), before, 0.0, settings)
    (worse,) = decide(answers("coding", wrong + 1, right, unjudged), before, 0.0, settings)
    assert worse.moved or not found.moved
    assert not found.moved or (found.judged >= least and found.failure.mean >= share and found.failure.low > before)
    assert found.decided or not found.moved

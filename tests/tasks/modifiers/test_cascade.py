"""Failures, the cascade over real rehearsal teachers, and the mixture that a modifier learns from."""

import json
from decimal import Decimal

import pytest

from blocks import store
from blocks.checkers.judge import check
from blocks.records import Artifact, Example
from blocks.rehearsal import world
from configs.errors import BadInput, BudgetSpent
from configs.phases.modifiers import Mixture, coverage
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.cascade import REJECTED, SOLVED, STATS, Rejected, Tier, cascade
from tasks.modifiers.failures import FAILED, RIGHT, failures, read_tried
from tasks.modifiers.mixture import mixture
from tests.tasks.modifiers.world import (
    CASCADE,
    LICENSES,
    TIERS,
    answers,
    dataset,
    evaluation,
    examples,
    failed,
    posed,
    teachers,
)

FAILS = {"order_of_five", "order_of_three", "odd_one_out", "arithmetic"}


def mend(found: Artifact, cap: str = "10", attempts: int = 2, tiers: tuple[str, ...] = TIERS) -> Artifact:
    settings = CASCADE.model_copy(update={"attempts": attempts})
    return cascade.fn(
        name="reasoning",
        failures=found,
        coverage=coverage("reasoning"),
        roles=list(tiers),
        settings=settings,
        teachers=teachers(cap).only(*tiers),
        licenses=LICENSES,
    )


def rows(artifact: Artifact, name: str) -> list[str]:
    return [line for line in (store.open(artifact) / name).read_text().split("\n") if line]


def test_failures_are_what_the_checker_says() -> None:
    found = failed(FAILS)
    wrong, right = read_tried(found, FAILED), read_tried(found, RIGHT)
    assert {tried.question.task_type for tried in wrong} == FAILS
    assert not {tried.question.task_type for tried in right} & FAILS
    assert len(wrong) + len(right) == 90
    assert found.metrics["failed"] == len(wrong)


def test_an_evaluation_of_other_questions_is_refused() -> None:
    with pytest.raises(BadInput, match="lacks"):
        failures.fn(posed(seed=0), evaluation(answers(read_questions(posed(seed=1)), set())))


def test_every_tier_sees_only_what_the_one_before_failed_and_every_solution_is_right() -> None:
    found = failed(FAILS)
    made = mend(found)
    tiers = [Tier.model_validate(tier) for tier in json.loads((store.open(made) / STATS).read_text())]
    solved = [Example.model_validate_json(line) for line in rows(made, SOLVED)]
    rejected = [Rejected.model_validate_json(line) for line in rows(made, REJECTED)]
    assert tiers[0].asked == len(read_tried(found, FAILED)) == len(solved) + len(rejected)
    assert [tier.asked for tier in tiers[1:]] == [tier.asked - tier.solved for tier in tiers[:-1]]
    assert tiers[0].solved > 0
    assert tiers[2].asked > 0, "the small teachers fail chains of five, which shows that the cascade goes on"
    for example in solved:
        expected = world.expected(example.prompt)
        assert expected is not None
        assert check(expected, example.response).correct
        assert (example.draft is not None) == (example.metadata.difficulty == "hard") == (example.thinking is not None)
        assert example.metadata.license == "CC0-1.0"
    for tier in tiers:
        last = [example for example in solved if example.lineage[-1].purpose.endswith(f"tier{tier.tier}")]
        assert len(last) == tier.solved
        assert all(
            example.metadata.teacher_model == f"rehearsal-{('small', 'medium', 'large')[tier.tier - 1]}"
            for example in last
        )
    paid = sum((call.dollars for row in [*solved, *rejected] for call in row.lineage), Decimal(0))
    assert store.manifest(made).dollars == sum(tier.dollars for tier in tiers) == paid > 0
    assert all(row.reasons and len(row.reasons) == len(row.lineage) for row in rejected)


def test_a_second_attempt_and_a_dearer_tier_solve_more() -> None:
    found = failed(FAILS)
    small, twice, all_three = (
        mend(found, attempts=1, tiers=("tier1",)),
        mend(found, attempts=2, tiers=("tier1",)),
        mend(found),
    )
    counts = [len(rows(made, SOLVED)) for made in (small, twice, all_three)]
    assert counts == sorted(set(counts))
    assert len(rows(small, REJECTED)) == len(read_tried(found, FAILED)) - counts[0]


def test_what_was_answered_is_not_paid_again_and_gives_the_same_artifact() -> None:
    found = failed(FAILS, count=10)
    first = mend(found)
    spent = store.manifest(first).dollars
    assert mend(found, cap=str(spent)).digest == first.digest


def test_a_spent_budget_stops_and_keeps_what_was_paid_for() -> None:
    found = failed(FAILS, count=10)
    with pytest.raises(BudgetSpent):
        mend(found, cap="0.0005")
    assert mend(found).metrics["solved"] > 0


def test_the_mixture_holds_failures_own_right_answers_and_replay_of_other_domains() -> None:
    found = failed(FAILS)
    mended, rehearsed = mend(found), dataset(examples(20))
    domains = list(coverage("reasoning").domains)
    made = mixture.fn(
        mended=mended,
        failures=found,
        dataset=rehearsed,
        domains=domains,
        settings=Mixture(own_right=0.5, replay=1.0, validation_share=0.1),
        seed=0,
    )
    train, validation = (
        [Example.model_validate_json(line) for line in rows(made, f"{name}.jsonl")] for name in ("train", "validation")
    )
    solved = {json.loads(line)["id"] for line in rows(mended, SOLVED)}
    counts = json.loads((store.open(made) / "stats.json").read_text())
    assert counts == {
        "mended": len(solved),
        "own_right": round(len(solved) / 2),
        "replay": len(solved),
        "train": len(train),
        "validation": len(validation),
    }
    assert solved <= {row.id for row in train + validation}
    assert not {row.prompt for row in train} & {row.prompt for row in validation}
    own = [row for row in train + validation if row.metadata.teacher_model == "student"]
    assert len(own) == counts["own_right"]
    for row in own:
        expected = world.expected(row.prompt)
        assert expected is not None
        assert check(expected, row.response).correct
        assert (row.thinking is not None) == (row.metadata.difficulty == "hard")
    replayed = [row for row in train + validation if row.metadata.domain not in domains]
    assert len(replayed) == counts["replay"]
    alone = mixture.fn(
        mended=mended,
        failures=found,
        dataset=rehearsed,
        domains=domains,
        settings=Mixture(own_right=0, replay=0, validation_share=0.1),
        seed=0,
    )
    assert {
        json.loads(line)["id"] for name in ("train", "validation") for line in rows(alone, f"{name}.jsonl")
    } == solved


def test_nothing_mended_is_a_clear_error() -> None:
    found = failed(set())
    with pytest.raises(BadInput, match="no failure was mended"):
        mixture.fn(
            mended=mend(found),
            failures=found,
            dataset=dataset(examples(5)),
            domains=["math"],
            settings=Mixture(own_right=1, replay=1, validation_share=0.1),
            seed=0,
        )

"""Every field of the modifiers settings that a step reads changes what is asked, made or decided. The phase's own are
in tests/flows."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from blocks import store
from blocks.journal.journal import Journal, calls
from blocks.records import Artifact, Interval, Question
from configs.errors import BadInput
from configs.phases.modifiers import Acceptance, Cascade, Coverage, Hints, Mixture, Modifiers, TeacherSource, coverage
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.cascade import REJECTED, Rejected, cascade
from tasks.modifiers.gain import verdict
from tasks.modifiers.mixture import mixture
from tasks.modifiers.prompts import mend
from tasks.modifiers.questions import fresh_questions
from tests.tasks.modifiers.test_questions import benchmark
from tests.tasks.modifiers.test_questions import settings as modifiers
from tests.tasks.modifiers.world import CASCADE, LICENSES, REHEARSAL, TIERS, dataset, examples, failed, teachers

FAILS = {"order_of_five", "arithmetic"}


def asked() -> list[dict[str, Any]]:
    """Every call in the journal."""
    from sqlalchemy import select

    journal = Journal(None)
    with journal.reading() as db:
        found = [dict(row._mapping) for row in db.execute(select(calls).order_by(calls.c.created))]
    journal.close()
    return found


def mended(**changes: Any) -> Artifact:
    settings = CASCADE.model_copy(update=changes)
    return cascade.fn(
        name="reasoning",
        failures=failed(FAILS, count=8),
        coverage=coverage("reasoning"),
        roles=list(settings.tiers),
        settings=settings,
        teachers=teachers().only(*settings.tiers),
        licenses=LICENSES,
    )


def keys(made: Artifact) -> list[list[str]]:
    """The calls of each question that nobody solved, by the journal's key, which is of everything that is asked."""
    rows = (store.open(made) / REJECTED).read_text().split("\n")
    return [[call.call for call in Rejected.model_validate_json(row).lineage] for row in rows if row]


def test_the_tiers_are_asked_in_their_order() -> None:
    for tiers in (("tier1",), ("tier1", "tier3"), TIERS):
        assert [
            tier["role"] for tier in json.loads((store.open(mended(tiers=tiers)) / "tiers.json").read_text())
        ] == list(tiers)
    settings = Modifiers.model_validate(
        modifiers("code") | {"cascade": CASCADE.model_copy(update={"tiers": ("tier1_{modifier}",)})}
    )
    assert settings.tiers("code") == ["tier1_code"]


def test_max_tokens_cuts_answers_off() -> None:
    def cut(max_tokens: int) -> int:
        rows = [
            Rejected.model_validate_json(row)
            for row in (store.open(mended(max_tokens=max_tokens)) / REJECTED).read_text().split("\n")
            if row
        ]
        return sum(reason.startswith("cut off") for row in rows for reason in row.reasons)

    assert cut(300) == 0 < cut(2)


def test_the_first_answer_has_the_temperature_and_further_ones_the_retry_temperature() -> None:
    """Two attempts at one tier of which nobody solves five in a row: the keys of the first and second calls."""
    plain, other, retried = (
        keys(mended(tiers=("tier1",), max_tokens=2, **change))
        for change in ({}, {"temperature": 0.9}, {"retry_temperature": 0.9})
    )
    assert plain
    assert {len(row) for row in plain} == {2}
    assert all(mine[0] != theirs[0] and mine[1] == theirs[1] for mine, theirs in zip(plain, other, strict=True))
    assert all(mine[0] == theirs[0] and mine[1] != theirs[1] for mine, theirs in zip(plain, retried, strict=True))


def test_attempts_are_made_at_each_tier() -> None:
    for attempts in (1, 3):
        assert {len(row) for row in keys(mended(tiers=("tier1",), max_tokens=2, attempts=attempts))} == {attempts}


def source(**changes: Any) -> TeacherSource:
    return TeacherSource.model_validate(
        {"kind": "teachers", "role": "questions", "batch": 10, "max_tokens": 1000, "temperature": 0.7, "attempts": 1}
        | changes
    )


def written(covers: Coverage | None = None, **changes: Any) -> list[dict[str, Any]]:
    """What was asked for sixteen questions."""
    chosen = source(**changes)
    narrowed = (covers or coverage("automation")).model_copy(update={"domains": ("tool_use",)})
    with suppress(BadInput):  # not one of the replies could be read
        fresh_questions.fn(
            avoid=[],
            coverages=[narrowed],
            count=16,
            hard_share=0.0,
            source=chosen,
            teachers=teachers().only(chosen.role),
            seed=0,
        )
    return asked()


def test_questions_are_asked_of_the_role() -> None:
    assert {(call["role"], call["teacher"]) for call in written(role="tier1")} == {("tier1", "rehearsal-small")}


@pytest.mark.parametrize("batch", [4, 10])
def test_a_batch_of_questions_is_asked_for_in_one_call(batch: int) -> None:
    found = written(batch=batch)
    assert all(f"Write {batch} questions." in call["messages"] for call in found)
    assert len(found) >= 16 / batch


def test_attempts_ask_again_for_what_max_tokens_cut() -> None:
    assert "cut off at max_tokens" not in {call["reject"] for call in written(attempts=1)}
    whole = len(asked())
    once = len(written(max_tokens=4, attempts=1)) - whole
    assert once > 0
    assert len(written(max_tokens=4, attempts=3)) - whole == 3 * once
    assert sum(call["reject"] == "cut off at max_tokens" for call in asked()) == 3 * once


def test_another_temperature_is_another_call() -> None:
    before = {call["key"] for call in written()}
    assert {call["key"] for call in written(temperature=0.1)} > before


@pytest.mark.parametrize("kind", ["rehearsal", "benchmarks", "teachers"])
def test_the_kind_decides_where_questions_come_from(kind: str, tmp_path: Path) -> None:
    chosen = {"rehearsal": REHEARSAL, "benchmarks": benchmark(tmp_path / "rows.jsonl"), "teachers": source()}[kind]
    found = read_questions(
        fresh_questions.fn(
            avoid=[],
            coverages=[coverage("reasoning").model_copy(update={"domains": ("math",)})],
            count=4,
            hard_share=0.5,
            source=chosen,
            teachers=teachers().only("questions"),
            seed=0,
        )
    )
    assert {question.source.split()[0] for question in found} == {
        {"rehearsal": "rehearsal", "benchmarks": "gsm8k", "teachers": "teacher"}[kind]
    }


def test_the_benchmarks_of_a_source_are_those_that_are_read(tmp_path: Path) -> None:
    one, other = benchmark(tmp_path / "one.jsonl"), tmp_path / "other.jsonl"
    other.write_text('{"question": "How many legs have 3 hens?", "answer": "6\\n#### 6"}\n')
    both = one.model_copy(
        update={"benchmarks": (*one.benchmarks, one.benchmarks[0].model_copy(update={"url": str(other)}))}
    )
    counts = [
        len(
            read_questions(
                fresh_questions.fn(
                    avoid=[],
                    coverages=[coverage("reasoning")],
                    count=20,
                    hard_share=1.0,
                    source=chosen,
                    teachers=teachers().only(),
                    seed=0,
                )
            )
        )
        for chosen in (one, both)
    ]
    assert counts == [10, 11]


def told(change: dict[str, Any]) -> tuple[str, str]:
    """What the teachers are told that mend, and that write."""
    covers = Coverage.model_validate(coverage("reasoning").model_dump() | change)
    question = Question(id="q", prompt="2 + 2?", domain="math", difficulty="easy", task_type="t", source="s")
    answering = mend(question, covers)[0].content
    return answering, written(covers)[-1]["messages"]


HINTS = Hints(questions="Ask of primes.", answers="Show no steps.")


def test_description_and_hints_are_what_teachers_are_told() -> None:
    answering, writing = told({})
    described = told({"description": "queues of ants"})
    assert all("queues of ants" in text for text in described)
    assert all("queues of ants" not in text for text in (answering, writing))
    hinted = told({"hints": HINTS})
    assert ("Show no steps." in hinted[0], "Show no steps." in hinted[1]) == (True, False), "answers"
    assert ("Ask of primes." in hinted[0], "Ask of primes." in hinted[1]) == (False, True), "questions"


def test_the_domains_of_a_coverage_are_those_that_are_asked_about() -> None:
    for domains in (("math",), ("math", "reading")):
        made = fresh_questions.fn(
            avoid=[],
            coverages=[coverage("reasoning").model_copy(update={"domains": domains})],
            count=4,
            hard_share=0.5,
            source=REHEARSAL,
            teachers=teachers().only(),
            seed=0,
        )
        assert {question.domain for question in read_questions(made)} == set(domains)


def test_own_right_replay_and_validation_share_are_the_mixture() -> None:
    found, rehearsed = failed(FAILS, count=20), dataset(examples(12))
    lessons = cascade.fn(
        name="reasoning",
        failures=found,
        coverage=coverage("reasoning"),
        roles=list(TIERS),
        settings=CASCADE,
        teachers=teachers().only(*TIERS),
        licenses=LICENSES,
    )
    solved = int(lessons.metrics["solved"])
    assert solved >= 8

    def counts(**changes: float) -> dict[str, float]:
        settings = Mixture.model_validate({"own_right": 0.5, "replay": 0.5, "validation_share": 0.25} | changes)
        return mixture.fn(
            mended=lessons,
            failures=found,
            dataset=rehearsed,
            domains=list(coverage("reasoning").domains),
            settings=settings,
            seed=0,
        ).metrics

    plain = counts()
    assert plain["own_right"] == plain["replay"] == round(solved / 2)
    assert counts(own_right=0.25)["own_right"] == round(solved / 4)
    assert counts(replay=1.0)["replay"] == solved
    assert counts(validation_share=0.5)["validation"] == pytest.approx(2 * plain["validation"], abs=3)


@pytest.mark.parametrize(
    ("changes", "accepted"), [({}, True), ({"minimum_gain": 0.06}, False), ({"allowed_loss": 0.03}, False)]
)
def test_minimum_gain_and_allowed_loss_decide(changes: dict[str, float], accepted: bool) -> None:
    rule = Acceptance.model_validate({"minimum_gain": 0.04, "allowed_loss": 0.05} | changes)
    assert (
        verdict(Interval(mean=0.1, low=0.05, high=0.15, n=50), Interval(mean=-0.04, low=-0.08, high=0.0, n=50), rule)[0]
        is accepted
    )


@pytest.mark.parametrize(
    "tier",
    ["{modifier:3000000000}", "{modifier!r}", "{modifier.__class__}", "{0}", "{}", "tier{", "{{modifier}}", "{other}"],
)
def test_a_role_of_the_cascade_names_its_modifier_plainly_and_nothing_else_in_braces(tier: str) -> None:
    with pytest.raises(ValidationError, match="the only thing in braces"):
        Cascade.model_validate(CASCADE.model_dump() | {"tiers": [tier]})
    plain = Modifiers.model_validate(
        modifiers("code")
        | {"cascade": CASCADE.model_copy(update={"tiers": ("small", "{modifier}", "a_{modifier}_{modifier}")})}
    )
    assert plain.tiers("code") == ["small", "code", "a_code_code"]

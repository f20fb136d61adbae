"""Fresh questions: never those of the dataset, never held-out ones; from the world, a benchmark, a teacher."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from blocks import store
from blocks.checkers.judge import check
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.evaluation import Benchmark
from configs.phases.modifiers import Acceptance, BenchmarkSource, Mixture, Modifier, Modifiers, TeacherSource, coverage
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.questions import fresh_questions
from tests.tasks.modifiers.world import CASCADE, REHEARSAL, dataset, examples, posed, teachers

NOBODY = teachers().only()


def test_questions_are_fresh_of_the_training_range_and_of_the_domains() -> None:
    known = dataset(examples(100))
    made = fresh_questions.fn(
        avoid=[known],
        coverages=[coverage("reasoning")],
        count=60,
        hard_share=0.5,
        source=REHEARSAL,
        teachers=NOBODY,
        seed=0,
    )
    questions = read_questions(made)
    inside = {
        json.loads(line)["prompt"] for line in (store.open(known) / "train.jsonl").read_text().split("\n") if line
    }
    assert not inside & {question.prompt for question in questions}
    assert len({question.prompt for question in questions}) == len(questions) == 180
    assert {question.domain for question in questions} == {"math", "reasoning", "common_sense"}
    assert sum(question.difficulty == "hard" for question in questions) == 90
    assert not any(world.is_held_out(question.prompt) for question in questions)
    assert all(question.expected is not None for question in questions)


def test_the_same_arguments_give_the_same_questions_and_another_seed_others() -> None:
    assert posed(seed=1).digest == posed(seed=1).digest != posed(seed=2).digest


def test_easy_questions_that_run_out_are_made_up_for_by_hard_ones() -> None:
    found = read_questions(
        fresh_questions.fn(
            avoid=[],
            coverages=[coverage("code")],
            count=3000,
            hard_share=0.0,
            source=REHEARSAL,
            teachers=NOBODY,
            seed=0,
        )
    )
    assert len({question.prompt for question in found}) == 3000
    assert {question.difficulty for question in found} == {"easy", "hard"}


def benchmark(path: Path) -> BenchmarkSource:
    rows = [
        {
            "question": f"A box holds {n} pens. How many do {n} boxes hold?",
            "answer": f"{n} times {n} is {n * n}.\n#### {n * n}",
        }
        for n in range(2, 12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return BenchmarkSource(
        kind="benchmarks",
        benchmarks=(Benchmark(format="gsm8k", url=str(path), sha256=None, answers_url=None, test=1, calibration=0),),
    )


def test_a_benchmarks_training_questions_fill_both_difficulties_and_leave_out_the_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = benchmark(tmp_path / "train.jsonl")
    first = fresh_questions.fn(
        avoid=[], coverages=[coverage("reasoning")], count=4, hard_share=0.5, source=source, teachers=NOBODY, seed=0
    )
    rest = fresh_questions.fn(
        avoid=[first],
        coverages=[coverage("reasoning")],
        count=10,
        hard_share=0.5,
        source=source,
        teachers=NOBODY,
        seed=0,
    )
    assert len(read_questions(first)) == 4
    assert len(read_questions(rest)) == 6
    assert "only 6 fresh questions of domain math, 10 are wanted" in caplog.text
    assert not {q.prompt for q in read_questions(first)} & {q.prompt for q in read_questions(rest)}
    nine = next(q for q in read_questions(rest) + read_questions(first) if "holds 9 pens" in q.prompt)
    assert nine.expected is not None
    assert check(nine.expected, "It is\n81").correct
    with pytest.raises(BadInput, match="no fresh question of math, reasoning, common_sense"):
        fresh_questions.fn(
            avoid=[first, rest],
            coverages=[coverage("reasoning")],
            count=10,
            hard_share=0.5,
            source=source,
            teachers=NOBODY,
            seed=0,
        )


def test_a_teacher_writes_questions_that_can_be_checked_and_the_price_is_kept() -> None:
    source = TeacherSource(kind="teachers", role="questions", batch=10, max_tokens=1000, temperature=0.7, attempts=2)
    made = fresh_questions.fn(
        avoid=[],
        coverages=[coverage("automation")],
        count=16,
        hard_share=0.5,
        source=source,
        teachers=teachers().only("questions"),
        seed=0,
    )
    found = read_questions(made)
    assert len(found) >= 24
    for question in found:
        assert question.lineage
        assert question.expected is not None
        right = world.worked(question.prompt)
        assert right is not None
        assert check(question.expected, right.response).correct
    assert store.manifest(made).dollars == sum({call.call: call.dollars for q in found for call in q.lineage}.values())


def test_what_is_missing_is_asked_for_in_other_words_and_what_was_dropped_is_counted() -> None:
    source = TeacherSource(kind="teachers", role="questions", batch=5, max_tokens=1000, temperature=0.7, attempts=2)
    first = fresh_questions.fn(
        avoid=[],
        coverages=[coverage("automation")],
        count=8,
        hard_share=0.5,
        source=source,
        teachers=teachers().only("questions"),
        seed=0,
    )
    again = fresh_questions.fn(
        avoid=[first],
        coverages=[coverage("automation")],
        count=8,
        hard_share=0.5,
        source=source,
        teachers=teachers().only("questions"),
        seed=0,
    )
    known, new = ({question.prompt for question in read_questions(made)} for made in (first, again))
    assert len(new) == len(known) == 16
    assert not known & new
    assert again.metrics["rejected_repeated"] >= len(known)
    assert again.metrics["calls"] > first.metrics["calls"]


def settings(*names: str) -> dict[str, object]:
    lora = {
        "rank": 2,
        "alpha": 4,
        "dropout": 0,
        "targets": ("q_proj",),
        "quantise": "none",
        "closing": True,
        "dtype": "float32",
        "arithmetic": "float32",
        "device": "cpu",
        "checkpointing": False,
        "epochs": 1,
        "batch": 1,
        "accumulation": 1,
        "max_length": 64,
        "learning_rate": 0.1,
        "schedule": "linear",
        "warmup": 0,
        "weight_decay": 0,
        "clip": 1,
        "evaluations": 1,
        "validation_examples": 1,
        "patience": 1,
    }
    return {
        "source": REHEARSAL,
        "questions": 1,
        "hard_share": 0.5,
        "cascade": CASCADE,
        "mixture": Mixture(own_right=0, replay=0, validation_share=0.1),
        "acceptance": Acceptance(minimum_gain=0, allowed_loss=0),
        "each": [{"name": name, "lora": lora} for name in names],
    }


def test_coverages_are_valid_and_what_is_left_over_is_one_coverage() -> None:
    chosen = Modifiers.model_validate(settings("code", "reasoning", "automation"))
    assert [c.domains for c in chosen.uncovered()] == [("reading", "summarization")]
    assert Modifiers.model_validate(settings("general")).uncovered() == []
    assert chosen.tiers("code") == list(CASCADE.tiers)


def test_two_modifiers_may_not_cover_the_same_domain_nor_one_that_is_unknown() -> None:
    with pytest.raises(ValidationError, match="domain coding is covered by code and general"):
        Modifiers.model_validate(settings("code", "general"))
    with pytest.raises(ValidationError, match="there are: automation, code, general, reasoning"):
        Modifier.model_validate(settings("nonsense")["each"][0])  # type: ignore[index]

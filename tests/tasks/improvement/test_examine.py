"""The examination: unseen questions, the same for both, and a verdict that a tie does not pass."""

import pytest

from blocks import store
from blocks.records import DOMAINS, Answered, Artifact
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.nightly import Examination
from configs.schema import load
from tasks.evaluation.held_out import held_out, read_questions
from tasks.improvement.examine import compare, examination
from tasks.improvement.join import join

FEW = Examination(affected=6, elsewhere=2)


@pytest.fixture
def test_questions() -> Artifact:
    return held_out.fn(load("nano", ["evaluation.rehearsal={test: 5, calibration: 5}"]).evaluation, 0)


def test_questions_are_held_out_new_and_more_of_them_where_something_changed(test_questions: Artifact) -> None:
    asked = read_questions(
        examination.fn(
            affected=["coding"], settings=FEW, rehearsal=True, test=test_questions, avoid=[test_questions], seed=7
        )
    )
    counts = {domain: sum(question.domain == domain for question in asked) for domain in DOMAINS}
    assert counts == {domain: 12 if domain == "coding" else 4 for domain in DOMAINS}
    assert all(world.is_held_out(question.prompt) for question in asked)
    assert len({question.id for question in asked}) == len(asked)
    assert not {question.prompt for question in asked} & {
        question.prompt for question in read_questions(test_questions)
    }
    tomorrow = read_questions(
        examination.fn(
            affected=["coding"], settings=FEW, rehearsal=True, test=test_questions, avoid=[test_questions], seed=8
        )
    )
    assert {question.prompt for question in tomorrow} != {question.prompt for question in asked}


def test_without_the_rehearsal_world_the_test_questions_are_asked(test_questions: Artifact) -> None:
    asked = examination.fn(
        affected=["math"],
        settings=Examination(affected=100, elsewhere=1),
        rehearsal=False,
        test=test_questions,
        avoid=[],
        seed=0,
    )
    found = read_questions(asked)
    assert {question.prompt for question in found} <= {question.prompt for question in read_questions(test_questions)}
    assert sum(question.domain == "math" for question in found) == 10
    with store.create("questions") as folder:
        only = [question for question in read_questions(test_questions) if question.domain == "math"]
        (folder.path / "questions.jsonl").write_text("".join(question.model_dump_json() + "\n" for question in only))
    with pytest.raises(BadInput, match="no held-out questions of coding"):
        examination.fn(affected=["coding"], settings=FEW, rehearsal=False, test=folder.artifact, avoid=[], seed=0)


def evaluation(right: dict[str, list[bool]], name: str) -> Artifact:
    rows = [
        Answered(
            question=f"{domain}-{number}",
            domain=domain,
            difficulty="easy",
            task_type="t",
            prompt="p",
            text="a",
            correct=correct,
            reason="",
            logprobs=(),
        )  # type: ignore[arg-type]
        for domain, verdicts in right.items()
        for number, correct in enumerate(verdicts)
    ]
    with store.create("evaluation", settings={"name": name}) as folder:
        (folder.path / "answers.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
    return folder.artifact


def passes(
    before: dict[str, list[bool]], after: dict[str, list[bool]], gain: float = 0.0, tolerance: float = 0.02
) -> list[bool]:
    found = compare.fn(evaluation(before, "before"), evaluation(after, "after"), ["coding"], 2000, 0)
    return [check.passed for check in found.checks(gain, tolerance)]


def test_a_tie_is_no_promotion_and_a_loss_elsewhere_is_none_either() -> None:
    bad, good, half = [False] * 60, [True] * 60, [True, False] * 30
    assert passes({"coding": bad, "math": half}, {"coding": good, "math": half}) == [True, True]
    assert passes({"coding": half, "math": half}, {"coding": half, "math": half})[0] is False
    assert passes({"coding": half}, {"coding": [True, True, *half[2:]]})[0] is False, "one more of sixty is not sure"
    assert passes({"coding": bad, "math": [True] * 400}, {"coding": good, "math": [False] * 400}) == [True, False]
    assert passes({"coding": bad, "math": half}, {"coding": half, "math": half}, gain=0.6)[0] is False
    assert passes({"coding": good}, {"coding": bad}) == [False, False]


def test_only_answers_to_the_same_questions_are_compared() -> None:
    with pytest.raises(BadInput, match="different questions"):
        compare.fn(evaluation({"coding": [True]}, "a"), evaluation({"coding": [True, True]}, "b"), ["coding"], 1000, 0)


def part(kind: str, name: str, rows: list[str]) -> Artifact:
    with store.create(kind, settings={"part": name}) as folder:
        (folder.path / "questions.jsonl").write_text("".join(row + "\n" for row in rows))
    return folder.artifact


def test_parts_are_joined_without_repetition_and_in_order() -> None:
    questions = world.questions("math", "easy", "train", 4, 0)
    lines = [question.model_dump_json() for question in questions]
    joined = join.fn([part("questions", "a", lines[:3]), part("questions", "b", lines[1:])])
    assert read_questions(joined) == questions
    tried = [f'{{"question": {line}, "answer": "x", "reason": ""}}' for line in lines]
    assert (
        store.open(join.fn([part("failures", "a", tried[:2]), part("failures", "b", tried)])) / "questions.jsonl"
    ).read_text() == "".join(row + "\n" for row in tried)
    alone = part("questions", "c", lines)
    assert join.fn([alone]) == alone
    with pytest.raises(BadInput, match="one kind"):
        join.fn([alone, part("mended", "d", [])])

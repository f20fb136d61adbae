"""The whole phase with the rehearsal teachers: what the dataset is, and what a stop in the middle costs."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from blocks import store
from blocks.checkers.judge import check
from blocks.examples import read_split
from blocks.records import Artifact, Example
from blocks.rehearsal import world
from blocks.storage import places
from blocks.teachers.reporting.summary import summary
from configs.errors import BadInput, BudgetSpent, GateFailed
from tasks.data import rows
from tasks.data.finish.split import CARD, STATS, TRAIN
from tasks.data.finish.verify import verify
from tasks.data.write.answers import answer_easy, first_teacher
from tasks.data.write.drafts import answer_hard
from tasks.data.write.judge import judge
from tasks.data.write.plan import plan, share_out
from tasks.data.write.questions import write_questions
from tasks.data.write.validate import Rating, validate, why_not
from tasks.evaluation.gates import gate
from tests.tasks.data.conftest import Small, small

Made = tuple[Small, Artifact, Artifact]


def both(made: Made) -> list[Example]:
    train, validation = read_split(made[2], "train"), read_split(made[2], "validation")
    return train + validation


def test_the_dataset_has_the_planned_size_and_shares(made: Made) -> None:
    planned = {(cell.domain, cell.difficulty): cell.keep for cell in share_out(made[0].data.planning)}
    found = Counter((example.metadata.domain, example.metadata.difficulty) for example in both(made))
    total = sum(found.values())
    assert total >= 0.9 * 96
    for difficulty, share in (("easy", 0.4), ("hard", 0.6)):
        kept = sum(count for key, count in found.items() if key[1] == difficulty)
        assert abs(kept - share * total) <= 1 + 0.02 * share * total
    assert set(found) == set(planned)


def test_most_answers_are_right_by_the_worlds_own_checker(made: Made) -> None:
    verdicts = []
    for example in both(made):
        expected = world.expected(example.prompt)
        assert expected is not None, f"validation let through what nobody can answer: {example.prompt}"
        if expected.kind != "code":
            verdicts.append(check(expected, example.response).correct)
    assert sum(verdicts) / len(verdicts) > 0.97


def test_hard_examples_carry_draft_and_thinking_and_easy_ones_do_not(made: Made) -> None:
    for example in both(made):
        hard = example.metadata.difficulty == "hard"
        assert (example.draft is not None) == (example.thinking is not None) == hard


def test_every_row_names_the_calls_that_made_and_judged_it(made: Made) -> None:
    for example in both(made):
        purposes = [call.purpose for call in example.lineage]
        answered = "answer_with_draft" if example.metadata.difficulty == "hard" else "answer"
        assert list(dict.fromkeys(purposes)) == ["write_questions", "validate", answered, "judge"]
        assert [call.teacher for call in example.lineage if call.purpose == answered][
            -1
        ] == example.metadata.teacher_model
        assert all(call.dollars > 0 for call in example.lineage)


def test_answers_are_shared_out_by_the_mix_and_follow_from_the_id_alone(made: Made) -> None:
    mix = made[0].data.answering.easy.mix
    drawn = Counter(first_teacher(f"question {i}", mix) for i in range(20_000))
    for teacher, share in mix.items():
        assert drawn[teacher] / 20_000 == pytest.approx(share, abs=0.015)
    assert all(example.metadata.teacher_model == first_teacher(example.id, mix) for example in both(made))


def test_nothing_of_the_evaluation_is_left(made: Made) -> None:
    asked = {rows.folded(question.prompt) for question in rows.questions(made[1])}
    assert not asked & {rows.folded(example.prompt) for example in both(made)}
    assert not any(world.is_held_out(example.prompt) for example in both(made))


def test_the_card_and_the_statistics_say_what_is_there(made: Made) -> None:
    folder = store.open(made[2])
    stats, card = json.loads((folder / STATS).read_text()), (folder / CARD).read_text()
    train, validation = read_split(made[2], "train"), read_split(made[2], "validation")
    assert stats["rows"] == {"train": len(train), "validation": len(validation)}
    assert sum(row["rows"] for row in stats["composition"]) == len(train) + len(validation)
    calls = {call.call: call.dollars for example in both(made) for call in example.lineage}
    assert Decimal(stats["dollars"]["of_kept_rows"]) == sum(calls.values())
    assert Decimal(stats["dollars"]["total"]) > Decimal(stats["dollars"]["of_kept_rows"])
    assert "| rehearsal | CC0-1.0 |" in card
    assert f"{stats['dollars']['total']} dollars" in card
    for stage in ("questions", "ratings", "scores", "filters", "decontamination", "near-duplicates"):
        assert f"| {stage} |" in card


def test_datasets_opens_the_folder_and_both_kinds_of_file(made: Made, tmp_path: Path) -> None:
    from datasets import load_dataset

    folder, train, validation = store.open(made[2]), read_split(made[2], "train"), read_split(made[2], "validation")
    for opened in (
        load_dataset(str(folder), cache_dir=str(tmp_path)),
        load_dataset(
            "json",
            data_files={"train": str(folder / "train.jsonl"), "validation": str(folder / "validation.jsonl")},
            cache_dir=str(tmp_path),
        ),
    ):
        assert opened["train"].num_rows == len(train)
        assert opened["validation"].num_rows == len(validation)
        assert [row["response"] for row in opened["train"]] == [example.response for example in train]
        assert opened["train"][0]["metadata"]["domain"] == train[0].metadata.domain


def test_the_report_passes_its_gate_and_notices_what_was_broken(made: Made, tmp_path: Path) -> None:
    profile, _, dataset = made
    report = verify.fn(dataset, profile.data, profile.seed)
    gate.fn("dataset", list(report.checks))
    train, validation = read_split(dataset, "train"), read_split(dataset, "validation")
    with store.create("dataset", settings={"broken": True}) as folder:
        rows.write(folder.path / TRAIN, [*train[:20], train[0].model_copy(update={"id": "copy"})])
        rows.write(folder.path / "validation.jsonl", [*validation[:5], train[1]])
        with (folder.path / TRAIN).open("a") as stream:
            stream.write('{"id": "only"}\n')
    broken = verify.fn(folder.artifact, profile.data, profile.seed)
    assert (broken.malformed, broken.shared_prompts) == (1, 1)
    assert broken.duplicate_rate > 0
    assert broken.off_balance > 0.02
    with pytest.raises(GateFailed, match="malformed rows = 1"):
        gate.fn("dataset", list(broken.checks))


def answered(profile: Small) -> Artifact:
    """The phase up to the scores."""
    data, teachers = profile.data, profile.teachers
    planned = plan.fn(data.planning, profile.seed)
    written = write_questions.fn(planned, data.writing, data.source, teachers.only("questions"))
    valid = validate.fn(written, data.validating, teachers.only("validate"))
    easy = answer_easy.fn(valid, data.answering, data.tokenizer, teachers.only("answer_easy"))
    hard = answer_hard.fn(valid, data.answering, data.tokenizer, teachers.only("answer_hard"))
    return judge.fn(easy, hard, data.judging, teachers.only("judge"))


def test_a_run_that_ran_out_of_money_goes_on_where_it_was_and_ends_the_same() -> None:
    whole = answered(small(32, account="whole"))
    spent = store.manifest(whole).dollars
    assert spent > 0
    stops = 0
    for cap in (0.02, 0.05, 5):
        try:
            again = answered(
                small(
                    32,
                    cap_dollars=cap,
                    account="stopped",
                    journal="sqlite:///" + str(Path(places.location()).parent / "stopped.db"),
                )
            )
            break
        except BudgetSpent:
            stops += 1
    assert stops == 2
    assert again.digest == whole.digest, "the same dataset, whatever happened on the way"


def test_asking_again_costs_nothing() -> None:
    profile = small(32)
    first = answered(profile)
    before = sum(teacher.spent for teacher in summary(profile.teachers))
    assert before > 0
    assert answered(profile).digest == first.digest
    assert sum(teacher.spent for teacher in summary(profile.teachers)) == before


def test_questions_are_distinct_and_repeated_ones_were_made_up_for() -> None:
    profile = small(400)
    written = write_questions.fn(
        plan.fn(profile.data.planning, 1), profile.data.writing, "rehearsal", profile.teachers.only("questions")
    )
    prompts = [rows.folded(question.prompt) for question in rows.questions(written)]
    assert len(prompts) == len(set(prompts))
    assert written.metrics["rejected_repeated"] > 0, "the rehearsal's writers repeat themselves"
    assert written.metrics["short"] == 0
    bound = profile.data.writing.model_copy(update={"rounds": 0})
    once = write_questions.fn(plan.fn(profile.data.planning, 1), bound, "rehearsal", profile.teachers.only("questions"))
    assert once.metrics["short"] > 0


def test_another_seed_asks_for_other_questions() -> None:
    def prompts(seed: int) -> set[str]:
        profile = small(32)
        return {
            q.prompt
            for q in rows.questions(
                write_questions.fn(
                    plan.fn(profile.data.planning, seed), profile.data.writing, "x", profile.teachers.only("questions")
                )
            )
        }

    assert prompts(1) == prompts(1)
    assert len(prompts(1) & prompts(2)) < 0.5 * len(prompts(1))


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        ("clarity", "unclear"),
        ("relevance", "off_topic"),
        ("difficulty", "wrong_difficulty"),
        ("quality", "low_quality"),
    ],
)
def test_a_rating_below_its_minimum_names_the_scale(scale: str, reason: str) -> None:
    settings = small().data.validating
    good = {"clarity": 9, "relevance": 9, "difficulty": 9, "quality": 9}
    assert why_not(Rating(**good), settings) is None
    found = why_not(Rating(**good | {scale: 1}), settings)
    assert found is not None
    assert found[0] == reason


def test_a_teacher_without_a_licence_and_one_outside_the_role_are_refused_before_anything_is_paid() -> None:
    profile = small(32)
    answering = profile.data.answering
    valid = write_questions.fn(
        plan.fn(profile.data.planning, 1), profile.data.writing, "x", profile.teachers.only("questions")
    )
    with pytest.raises(BadInput, match="no licence for what teacher 'rehearsal-medium'"):
        answer_easy.fn(
            valid,
            answering.model_copy(update={"licenses": {"rehearsal-large": "CC0-1.0"}}),
            "words",
            profile.teachers.only("answer_easy"),
        )
    easy = answering.easy.model_copy(update={"mix": {"gpt-6": 1.0}})
    with pytest.raises(BadInput, match="'gpt-6' is not in"):
        answer_easy.fn(
            valid, answering.model_copy(update={"easy": easy}), "words", profile.teachers.only("answer_easy")
        )

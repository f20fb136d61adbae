"""Every field of the data settings changes what the phase does: no field is read by nothing."""

import copy
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from blocks import store
from blocks.records import Artifact
from configs.errors import GateFailed
from configs.phases.data import Data
from flows import dataset as dataset_phase
from tasks.data import rows
from tasks.data.finish.balance import balance
from tasks.data.finish.split import split
from tasks.data.finish.verify import verify
from tasks.data.write.answers import answer_easy
from tasks.data.write.drafts import answer_hard
from tasks.data.write.judge import Score, judge
from tasks.data.write.judge import why_not as judged_out
from tasks.data.write.plan import plan, read_plan
from tasks.data.write.questions import write_questions
from tasks.data.write.validate import Rating, validate
from tasks.data.write.validate import why_not as rated_out
from tests.flows.students import given, watched
from tests.tasks.data.conftest import Small, example, examples_artifact, held_out, section, small
from tests.tiny_llama import tokenizer

# Proven elsewhere: filters in test_filters.py, validation's minima in test_dataset.py, decontamination's,
# near-duplicates', sources' in theirs.
SIZE = 16
ROLES = small().teachers
ELSEWHERE = ("filters", "validating", "decontamination", "near_duplicates", "collecting")


def fields(settings: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from fields(value, f"{prefix}{name}.")
        elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), BaseModel):
            yield from fields(next(iter(value.values())), f"{prefix}{name}.*.")
        else:
            yield f"{prefix}{name}"


def changed(path: str, value: Any) -> Small:
    profile = small(SIZE)
    tree = copy.deepcopy(profile.data.model_dump())
    node = tree
    *parents, last = path.split(".")
    for part in parents:
        node = node[next(iter(node)) if part == "*" else part]
    node[last] = value
    return profile._replace(data=Data.model_validate(tree))


def asked(profile: Small) -> Artifact:
    return write_questions.fn(
        plan.fn(profile.data.planning, profile.seed),
        profile.data.writing,
        profile.data.source,
        profile.teachers.only("questions"),
    )


@pytest.fixture(scope="module")
def usual() -> str:
    return made_by_teachers(small(SIZE))


def made_by_teachers(profile: Small) -> str:
    """What the teachers were asked and said, as text; the settings' own digest is no part of it."""
    questions = asked(profile)
    data = profile.data
    easy = answer_easy.fn(questions, data.answering, data.tokenizer, profile.teachers.only("answer_easy"))
    hard = answer_hard.fn(questions, data.answering, data.tokenizer, profile.teachers.only("answer_hard"))
    return "".join(
        (store.open(artifact) / name).read_text()
        for artifact in (questions, easy, hard)
        for name in (rows.QUESTIONS, rows.EXAMPLES, rows.REJECTS)
        if (store.open(artifact) / name).exists()
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", "elsewhere"),
        ("planning.examples", 24),
        ("planning.hard_share", 0.2),
        ("planning.easy_oversample", 3.0),
        ("planning.hard_oversample", 3.0),
        ("planning.domains.*.share", 3.0),
        ("planning.domains.*.task_type", "other"),
        ("planning.domains.*.topics", ["sums of many numbers"]),
        ("writing.batch", 4),
        ("writing.temperature", 0.1),
        ("writing.max_tokens", 16),
        ("answering.easy.mix", {"rehearsal-small": 1.0}),
        ("answering.easy.temperature", 1.0),
        ("answering.easy.max_tokens", 1),
        ("answering.hard.mix", {"rehearsal-small": 1.0}),
        ("answering.hard.temperature", 1.0),
        ("answering.hard.max_tokens", 4),
        ("answering.licenses", {"rehearsal-large": "MIT", "rehearsal-medium": "MIT", "rehearsal-small": "MIT"}),
        ("answering.high_complexity_words", 1),
    ],
)
def test_a_field_of_the_asking_changes_what_is_asked_or_said(usual: str, path: str, value: Any) -> None:
    assert made_by_teachers(changed(path, value)) != usual


def test_a_changed_mix_asks_the_new_teacher_although_the_journal_knows_the_question() -> None:
    made_by_teachers(small(SIZE))
    again = made_by_teachers(changed("answering.easy.mix", {"rehearsal-small": 1.0}))
    answered = [row for row in again.split("\n") if '"difficulty":"easy"' in row and '"response"' in row]
    assert answered
    assert all('"teacher_model":"rehearsal-small"' in row for row in answered)


def test_attempts_ask_malformed_answers_again() -> None:
    """With replies cut off every answer is malformed, and asked as often as the settings say."""
    for part in ("easy", "hard"):
        for attempts in (1, 3):
            profile = changed(
                f"answering.{part}",
                section("nano", "data")["answering"][part] | {"max_tokens": 1, "attempts": attempts},
            )
            step = {"easy": answer_easy, "hard": answer_hard}[part]
            made = step.fn(asked(small(SIZE)), profile.data.answering, "words", profile.teachers.only(f"answer_{part}"))
            rejects = rows.read(store.open(made) / rows.REJECTS, rows.Reject)
            assert rejects
            assert all(
                sum(call.purpose.startswith("answer") for call in reject.lineage) == attempts for reject in rejects
            )
    for attempts in (1, 2):
        made = asked(
            changed(
                "writing", section("nano", "data")["writing"] | {"max_tokens": 4, "attempts": attempts, "rounds": 0}
            )
        )
        assert made.metrics["kept"] == 0
        assert made.metrics["calls"] == attempts * 16


@pytest.mark.parametrize(("path", "value"), [("judging.threshold", 9), ("judging.minimum_accuracy", 3)])
def test_a_field_of_the_judging_changes_what_stays(path: str, value: int) -> None:
    score = Score(accuracy=2, completeness=2, coherence=2, helpfulness=2)
    assert judged_out(score, small().data.judging) is None
    assert judged_out(score, changed(path, value).data.judging) is not None


@pytest.mark.parametrize("scale", ["clarity", "relevance", "difficulty", "quality"])
def test_a_field_of_the_validating_changes_what_stays(scale: str) -> None:
    rating = Rating(clarity=7, relevance=7, difficulty=7, quality=7)
    assert rated_out(rating, small().data.validating) is None
    assert rated_out(rating, changed(f"validating.{scale}", 8).data.validating) is not None


def test_tolerance_and_validation_share_change_the_dataset() -> None:
    material = examples_artifact(
        *(
            example(f"{domain}{i}", prompt=f"{domain} {i}", domain=domain)
            for domain, count in (("math", 20), ("coding", 10))
            for i in range(count)
        )
    )
    domains = {name: value for name, value in small().data.planning.domains.items() if name in ("math", "coding")}
    planned = plan.fn(
        small().data.planning.model_copy(update={"examples": 40, "hard_share": 0.0, "domains": domains}), 1
    )
    assert [cell.keep for cell in read_plan(planned)[1]] == [20, 20]
    tight, loose = (
        balance.fn(planned, material, changed("balancing.tolerance", value).data.balancing, "rehearsal", True)
        for value in (0.02, 0.5)
    )
    assert tight.metrics["kept"] < loose.metrics["kept"] == 30
    assert split.fn(loose, {}, changed("splitting.validation_share", 0.4).data.splitting, 1).metrics["validation"] == 12


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verification.sample", 5),
        ("verification.english", 0.123),
        ("verification.duplicates", 0.123),
        ("verification.fill", 0.123),
    ],
)
def test_a_field_of_the_verification_changes_the_report(
    made: tuple[Small, Artifact, Artifact], path: str, value: float
) -> None:
    profile, _, dataset = made
    tree = profile.data.model_dump()
    tree["verification"][path.split(".")[1]] = value
    assert verify.fn(dataset, Data.model_validate(tree), 1) != verify.fn(dataset, profile.data, 1)


def test_attempts_and_max_tokens_of_validating_and_judging_are_what_is_asked() -> None:
    """With replies cut off nothing can be read, and is asked as often as the settings say."""
    questions = asked(small(SIZE))
    easy = answer_easy.fn(questions, small(SIZE).data.answering, "words", small(SIZE).teachers.only("answer_easy"))
    for attempts in (1, 2):
        for made in (
            validate.fn(
                questions,
                changed(
                    "validating", section("nano", "data")["validating"] | {"max_tokens": 2, "attempts": attempts}
                ).data.validating,
                ROLES,
            ),
            judge.fn(
                easy,
                examples_artifact(),
                changed(
                    "judging", section("nano", "data")["judging"] | {"max_tokens": 2, "attempts": attempts}
                ).data.judging,
                ROLES,
            ),
        ):
            rejects = rows.read(store.open(made) / rows.REJECTS, rows.Reject)
            assert rejects
            assert {sum(call.purpose in ("validate", "judge") for call in reject.lineage) for reject in rejects} == {
                attempts
            }
    assert validate.fn(questions, small(SIZE).data.validating, ROLES).metrics["kept"] > 0, "with room for a reply"


def test_the_tokenizer_counts_an_examples_tokens(tmp_path: Path) -> None:
    tokenizer().save_pretrained(tmp_path)
    questions = asked(small(SIZE))
    counts = [
        [
            one.metadata.token_count
            for one in rows.examples(
                answer_easy.fn(questions, small(SIZE).data.answering, name, small(SIZE).teachers.only("answer_easy"))
            )
        ]
        for name in ("words", str(tmp_path))
    ]
    assert all(few < many for few, many in zip(*counts, strict=True))


def test_fill_decides_whether_public_records_stand_in() -> None:
    planned = plan.fn(
        small().data.planning.model_copy(
            update={"examples": 4, "hard_share": 0.0, "domains": {"math": small().data.planning.domains["math"]}}
        ),
        1,
    )
    material = examples_artifact(
        example("made"), *(example(f"public{i}", prompt=f"{i}?", source="alpaca") for i in range(9))
    )
    kept = {
        fill: balance.fn(planned, material, small().data.balancing, "rehearsal", fill).metrics["kept"]
        for fill in (True, False)
    }
    assert kept == {True: 4, False: 1}


def test_every_section_of_the_data_reaches_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = small(SIZE)
    calls = watched(monkeypatch, dataset_phase)
    with suppress(GateFailed):  # so few examples are out of balance
        dataset_phase.dataset.fn(profile, held_out(1))  # type: ignore[arg-type]
    steps = {
        "planning": "plan",
        "writing": "write_questions",
        "source": "write_questions",
        "validating": "validate",
        "answering": "answer_hard",
        "tokenizer": "answer_easy",
        "judging": "judge",
        "collecting": "collect",
        "filters": "filter_examples",
        "decontamination": "decontaminate",
        "near_duplicates": "remove_near_duplicates",
        "balancing": "balance",
        "splitting": "split",
    }
    for name, step in steps.items():
        assert any(
            one is getattr(profile.data, name) or one == getattr(profile.data, name) for one in given(calls, step)
        ), name
    assert profile.data in given(calls, "verify"), "verification"
    assert profile.data.collecting.fill in given(calls, "balance")
    assert profile.seed in given(calls, "plan"), "seed"
    assert profile.teachers.only("questions") in given(calls, "write_questions"), "teachers"
    assert set(steps) | {"verification"} == set(Data.model_fields)


def test_no_field_is_forgotten_here() -> None:
    source = Path(__file__).read_text()
    for path in fields(Data.model_validate(section("nano", "data"))):
        if not path.startswith(ELSEWHERE):
            parts = path.split(".")
            proven = (
                path in source
                or (parts[-1] in ("attempts", "max_tokens", "rounds") and f'"{parts[-1]}"' in source)
                or parts[-1] == "tokenizer"
            )
            assert proven, f"no test changes data.{path}"


@pytest.mark.parametrize("profile", ["nano", "llama-8b"])
def test_the_profiles_name_their_teachers_and_licences(profile: str) -> None:
    data, teachers = Data.model_validate(section(profile, "data")), section(profile, "teachers")
    for difficulty in ("easy", "hard"):
        mix, chain = getattr(data.answering, difficulty).mix, teachers["roles"][f"answer_{difficulty}"]
        assert set(mix) <= set(chain) <= set(data.answering.licenses)
        assert sorted(mix.values()) == [0.25, 0.35, 0.4]

"""Modifiers, routing and a night's retraining with a student that answers by rule: what each setting changes on the
way.

Fresh questions, cascade, lessons, gains, router and release are real; only training and answering are not.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blocks import store
from blocks.checkers.judge import check_all
from blocks.records import Artifact, Domain, Interval, Question
from blocks.rehearsal import world
from configs.errors import GateFailed
from configs.phases.modifiers import coverage
from configs.phases.training import Lora
from configs.schema import Profile, load
from flows import modifiers as modifiers_phase
from flows import retraining as retraining_phase
from flows import routing as routing_phase
from flows.modifiers import Modified, modifiers
from flows.nightly import _clusters, _judge
from flows.retraining import Renewed, Retrained, _renew, retraining
from flows.routing import Routed, routing
from tasks.evaluation.evaluate import read_answers
from tasks.evaluation.held_out import held_out, read_questions
from tasks.improvement.examine import Comparison
from tasks.improvement.observe import Observed, read_observed
from tasks.improvement.release_parts import Member, Standing
from tasks.modifiers.failures import FAILED, RIGHT, failures, read_tried
from tests.flows.students import answering, given, watched
from tests.tasks.modifiers.world import dataset, examples

OVERRIDES = [
    "modifiers.questions=24",
    "routing.questions=24",
    "routing.router={layers: [48, 8, 1], first_tokens: 64, epochs: "
    "8, patience: 8, set_aside: 0.2, batch: 32, "
    "learning_rate: 0.01, decay: 0.0}",
    "routing.domains={sizes: [3], buckets: 512, characters: 200, epochs: 4, batch: "
    "32, learning_rate: 0.05, decay: 0.0}",
    "routing.threshold={default: 0.8, most_cost: 3.0, steps: 21}",
    "evaluation.rehearsal={test: 8, calibration: 14}",
    "evaluation.resamples=1000",
    "nightly.questions=12",
    "nightly.logged=5",
    "nightly.examination={affected: 4, elsewhere: 2}",
]
INSIDE = {name: set(coverage(name).domains) for name in ("code", "reasoning", "automation")}


class Parts(NamedTuple):
    """What the phases are given, and the state folder that it lies in."""

    home: Path
    model: Artifact
    gguf: Artifact
    dataset: Artifact
    questions: Artifact
    modified: Modified
    routed: Routed


def profile(*overrides: str) -> Profile:
    return load("nano", [*OVERRIDES, *overrides])


def chance(model: Artifact, question: Question, adapter: Artifact | None) -> float:
    """Right on fewer than half, with a modifier on nearly all of its own domains; ``adapter``'s metrics say whose it
    is."""
    inside = adapter is not None and question.domain in INSIDE[list(INSIDE)[int(adapter.metrics["modifier"])]]
    return 1.2 if inside else 0.4


def untrained(patch: pytest.MonkeyPatch, module: Any) -> list[Lora]:
    """``sft`` and the export make an empty adapter that knows its modifier by its lessons; the settings of every
    training."""
    seen: list[Lora] = []

    def sft(model: Artifact, lessons: Artifact, settings: Lora, seed: int) -> Artifact:
        seen.append(settings)
        rows = [json.loads(line) for line in (store.open(lessons) / "train.jsonl").read_text().split("\n") if line]
        taught = {row["metadata"]["domain"] for row in rows if "/modifiers/" in row["metadata"]["source"]}
        with store.create("adapter", parents=[model, lessons], settings=settings) as folder:
            (folder.path / "weights").write_text(settings.model_dump_json())
            folder.metrics["modifier"] = next(
                number for number, domains in enumerate(INSIDE.values()) if taught <= domains
            )
        return folder.artifact

    def export(adapter: Artifact, model: Artifact) -> Artifact:
        with store.create("gguf_adapter", parents=[adapter, model]) as folder:
            (folder.path / "adapter.gguf").write_text(adapter.digest)
            folder.metrics |= adapter.metrics
        return folder.artifact

    patch.setattr(module, "sft", sft)
    patch.setattr(module, "adapter_to_gguf", export)
    return seen


def make(kind: str, name: str, *parents: Artifact, **files: str) -> Artifact:
    with store.create(kind, settings={"name": name}, parents=parents) as folder:
        for path, content in files.items():
            (folder.path / path.replace("_dot_", ".")).write_text(content)
    return folder.artifact


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("COGUMI_HOME", str(home))
        answering(patch, ["flows.modifiers", "flows.routing"], chance)
        untrained(patch, modifiers_phase)
        model, gguf = make("model", "model", tokenizer_dot_json="{}"), make("gguf", "gguf", model_dot_gguf="x")
        taught = dataset(examples(12))
        questions = held_out(profile().evaluation, 0)
        modified = modifiers.fn(model, gguf, taught, questions, profile())
        assert [one.name for one in modified.accepted] == ["code", "reasoning", "automation"]
        routed = routing.fn(gguf, modified, taught, questions, profile("routing.tolerance=1"))
        return Parts(
            home=home, model=model, gguf=gguf, dataset=taught, questions=questions, modified=modified, routed=routed
        )


@pytest.fixture(autouse=True)
def student(parts: Parts, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_HOME", str(parts.home))
    answering(monkeypatch, ["flows.modifiers", "flows.routing", "flows.retraining"], chance)
    untrained(monkeypatch, modifiers_phase)
    untrained(monkeypatch, retraining_phase)


def modify(parts: Parts, *overrides: str) -> Modified:
    """The phase with the modifier ``code`` alone."""
    whole = profile("modifiers.questions=8", *overrides)
    alone = whole.modifiers.model_copy(update={"each": whole.modifiers.each[:1]})
    return modifiers.fn(
        parts.model, parts.gguf, parts.dataset, parts.questions, whole.model_copy(update={"modifiers": alone})
    )


def posed(made: Modified) -> list[Question]:
    """The fresh questions of the first modifier."""
    return [
        question
        for parent in store.manifest(made.modifiers[0].tested).parents
        if (found := store.find(parent)).kind == "questions"
        for question in read_questions(found)
    ]


def test_every_section_of_the_modifiers_reaches_its_step(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, trained = watched(monkeypatch, modifiers_phase), untrained(monkeypatch, modifiers_phase)
    made = modify(parts, "modifiers.each.0.lora.rank=3")
    wanted = profile().modifiers
    for step, section in (
        ("fresh_questions", "source"),
        ("cascade", "cascade"),
        ("mixture", "mixture"),
        ("gain", "acceptance"),
    ):
        assert getattr(wanted, section) in given(calls, step), section
    assert [lora.rank for lora in trained] == [3]
    assert [one.name for one in made.modifiers] == ["code"], "each"


def test_questions_hard_share_and_source_decide_what_is_posed(parts: Parts) -> None:
    plain = posed(modify(parts))
    assert (len(plain), sum(question.difficulty == "hard" for question in plain)) == (8, 5)
    assert len(posed(modify(parts, "modifiers.questions=12"))) == 12
    assert {question.difficulty for question in posed(modify(parts, "modifiers.hard_share=1.0"))} == {"hard"}
    written = posed(
        modify(
            parts,
            "modifiers.source={kind: teachers, role: questions, batch: 10, max_tokens: 1000, temperature: 0.7, "
            "attempts: 2}",
        )
    )
    assert {question.source.split()[0] for question in plain} == {"rehearsal"}
    assert all(question.source.startswith("teacher ") for question in written)


def test_the_name_of_a_modifier_decides_what_it_covers_and_who_mends(parts: Parts) -> None:
    whole = profile("modifiers.questions=8")
    for name, domains, role in (
        ("code", {"coding"}, "tier1_code"),
        ("automation", {"tool_use", "instruction"}, "tier1_automation"),
    ):
        one = whole.modifiers.each[0].model_copy(update={"name": name})
        made = modifiers.fn(
            parts.model,
            parts.gguf,
            parts.dataset,
            parts.questions,
            whole.model_copy(update={"modifiers": whole.modifiers.model_copy(update={"each": (one,)})}),
        )
        assert {question.domain for question in posed(made)} == domains
        assert json.loads((store.open(made.modifiers[0].mended) / "tiers.json").read_text())[0]["role"] == role


@pytest.mark.parametrize("field", ["minimum_gain", "allowed_loss"])
def test_acceptance_decides_on_the_release(parts: Parts, field: str) -> None:
    loose, strict = {"minimum_gain": (0.0, 0.9), "allowed_loss": (1.0, 0.0)}[field]

    def worse_elsewhere(model: Artifact, question: Question, adapter: Artifact | None) -> float:
        return chance(model, question, adapter) if adapter is None or question.domain in INSIDE["code"] else 0.2

    with pytest.MonkeyPatch.context() as patch:
        answering(patch, "flows.modifiers", worse_elsewhere)
        accepted = {
            value: modify(parts, "modifiers.acceptance.allowed_loss=1.0", f"modifiers.acceptance.{field}={value}")
            .modifiers[0]
            .accepted
            for value in (loose, strict)
        }
    assert accepted == {loose: True, strict: False}


def route(parts: Parts, *overrides: str) -> Routed:
    return routing.fn(
        parts.gguf, parts.modified, parts.dataset, parts.questions, profile("routing.tolerance=1", *overrides)
    )


def ancestor(made: Artifact, kind: str) -> Artifact:
    return next(found for parent in store.manifest(made).parents if (found := store.find(parent)).kind == kind)


def test_every_section_of_the_routing_reaches_its_step(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watched(monkeypatch, routing_phase)
    route(parts)
    wanted = profile().routing
    for step, section in (
        ("learn_domains", "domains"),
        ("learn_router", "router"),
        ("calibrate_router", "calibration"),
        ("assemble", "threshold"),
    ):
        assert getattr(wanted, section) in given(calls, step), section


def test_routing_questions_are_those_of_the_domains_without_a_modifier(parts: Parts) -> None:
    def learned_from(questions: int) -> float:
        return ancestor(route(parts, f"routing.questions={questions}").router, "router_network").metrics["questions"]

    uncovered = sum(len(rest.domains) for rest in profile().modifiers.uncovered())
    assert learned_from(24) - learned_from(8) == uncovered * (24 - 8)


def test_calibration_chooses_the_map(parts: Parts) -> None:
    fitted = {}
    for calibration in ("temperature", "platt"):
        made = ancestor(route(parts, f"routing.calibration={calibration}").router, "router_calibration")
        fitted[calibration] = json.loads((store.open(made) / "calibration.json").read_text())
    assert fitted["temperature"]["intercept"] == 0 != fitted["platt"]["intercept"]


def test_a_router_that_may_lose_more_than_the_tolerance_is_refused(parts: Parts) -> None:
    assert parts.routed.report.difference.low > -1
    with pytest.MonkeyPatch.context() as patch:
        answering(patch, "flows.routing", lambda model, question, adapter: 0.5 if adapter is None else -1.0)
        low = route(parts).report.difference.low
        assert low < -0.01
        with pytest.raises(GateFailed, match="routed minus base exact match, lower end"):
            route(parts, f"routing.tolerance={-low / 2}")


# The night.


def standing(parts: Parts) -> Standing:
    """The current release, as the night reads it."""
    modified, router = parts.modified, parts.routed.router
    members = [
        Member(
            name=one.name,
            domains=one.domains,
            gguf=one.gguf,
            evaluation=one.evaluation,
            mended=one.mended,
            failures=ancestor(one.mended, "failures"),
        )
        for one in modified.modifiers
    ]
    return Standing(
        release=make("release", "current"),
        model=parts.model,
        gguf=parts.gguf,
        dataset=card_ready(parts.dataset),
        modifiers=tuple(members),
        router=router,
        classifier=ancestor(router, "domain_classifier"),
        tested=tuple(one.tested for one in modified.modifiers),
        test=parts.questions,
        base_test=parts.routed.base,
        routed=parts.routed.evaluation,
        calibration=modified.calibration,
        base_calibration=modified.base,
    )


def card_ready(rows: Artifact) -> Artifact:
    """The dataset with what a release's card says of it."""
    stats = {
        "rows": {"train": 1, "validation": 0},
        "quality": {"mean": 8.0},
        "teachers": [{"teacher_model": "rehearsal-large"}],
    }
    content = {
        f"{name}_dot_jsonl": (store.open(rows) / f"{name}.jsonl").read_text() for name in ("train", "validation")
    }
    return make("dataset", "with statistics", **content, stats_dot_json=json.dumps(stats))


def observed(domain: Domain, wrong: int) -> Artifact:
    """Served answers to fresh questions, all wrong."""
    rows = [
        Observed(
            id=f"s{number}",
            source="serving",
            time=f"t{number:03}",
            prompt=question.prompt,
            domain=domain,
            task_type=question.task_type,
            right=False,
            reason="",
            doubted=False,
            escalated=False,
            fallback=False,
        )
        for number, question in enumerate(world.questions(domain, "hard", "train", wrong, 77))
    ]
    return make(
        "observed", f"{domain} {wrong}", records_dot_jsonl="".join(row.model_dump_json() + "\n" for row in rows)
    )


def night(parts: Parts, *overrides: str) -> Retrained:
    return retraining.fn(
        current=standing(parts),
        observed=observed("coding", 9),
        moved={"code": ["coding"]},
        parameters=1,
        night=1,
        profile=profile("modifiers.acceptance={minimum_gain: -1, allowed_loss: 1}", *overrides),
    )


def test_a_night_asks_as_many_questions_and_takes_over_as_many_as_it_may(parts: Parts) -> None:
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    for questions, logged in ((12, 5), (6, 5), (12, 2), (12, 0)):
        chosen = profile(f"nightly.questions={questions}", f"nightly.logged={logged}")
        asked = read_questions(
            ancestor(
                _renew(
                    name="code",
                    domains=["coding"],
                    current=standing(parts),
                    observed=observed("coding", 9),
                    seed=1,
                    profile=chosen,
                ).tested,
                "questions",
            )
        )
        taken = sum(question.source == "served" for question in asked)
        counts[questions, logged] = (len(asked) - taken, taken)
    assert counts == {key: key for key in counts}


def test_a_nights_examination_has_the_size_that_the_settings_say(parts: Parts) -> None:
    def sizes(affected: int, elsewhere: int) -> tuple[int, int]:
        made = night(parts, f"nightly.examination={{affected: {affected}, elsewhere: {elsewhere}}}")
        assert made.after is not None
        domains = [
            json.loads(line)["domain"]
            for line in (store.open(made.after) / "answers.jsonl").read_text().split("\n")
            if line
        ]
        return domains.count("coding"), domains.count("reading")

    assert sizes(4, 2) == (8, 4)
    assert sizes(6, 1) == (12, 2)


@pytest.mark.parametrize(
    ("field", "passes", "misses"),
    [("nightly.minimum_gain", 0.05, 0.15), ("nightly.tolerance", 0.08, 0.03), ("release.size_limit_mib", 1.0, 1e-9)],
)
def test_the_nights_gate_compares_with_the_settings(parts: Parts, field: str, passes: float, misses: float) -> None:
    comparison = Comparison(
        affected=Interval(mean=0.2, low=0.1, high=0.3, n=9),
        overall=Interval(mean=0.0, low=-0.05, high=0.05, n=9),
        by_domain={},
        before={},
        after={},
    )
    code = parts.modified.modifiers[0]
    member = Member(
        name="code",
        domains=("coding",),
        gguf=code.gguf,
        evaluation=code.evaluation,
        mended=code.mended,
        failures=code.mended,
    )
    made = Retrained(
        renewed=(Renewed(member=member, tested=code.tested, gain=code.gain),),
        release=make("release", "candidate", file_dot_txt="x"),
        comparison=comparison,
    )
    others = ["nightly.minimum_gain=0.0", "nightly.tolerance=0.1", "release.size_limit_mib=8"]
    assert [_judge(made, profile(*others, f"{field}={value}"))[0] for value in (passes, misses)] == [
        "promoted",
        "refused",
    ]


@pytest.mark.parametrize(("field", "moves", "stays"), [("records", 10, 40), ("share", 0.3, 1.0)])
def test_moving_decides_what_a_night_takes_up(parts: Parts, field: str, moves: float, stays: float) -> None:
    seen = observed("coding", 20)
    right = [row.model_copy(update={"right": number % 5 == 0}) for number, row in enumerate(read_observed(seen))]
    seen = make("observed", "mostly wrong", records_dot_jsonl="".join(row.model_dump_json() + "\n" for row in right))
    current = standing(parts)
    at_release = make(
        "evaluation",
        "all right",
        current.router,
        answers_dot_jsonl=all_right(current.routed),
        choices_dot_json=(store.open(current.routed) / "choices.json").read_text(),
    )
    current = current.model_copy(update={"routed": at_release})
    found = {
        value: _clusters(seen, current, profile(f"nightly.moving.{field}={value}"))[0].moved for value in (moves, stays)
    }
    assert found == {moves: True, stays: False}


def all_right(evaluation: Artifact) -> str:
    return (store.open(evaluation) / "answers.jsonl").read_text().replace('"correct":false', '"correct":true')


def test_failures_of_a_student_by_rule_are_the_checkers(parts: Parts) -> None:
    """The stand-in marks as right what the checker would: otherwise the lessons above were nonsense."""
    tested = parts.modified.modifiers[0].tested
    asked = ancestor(tested, "questions")
    found = failures.fn(asked, tested)
    expected = {question.id: question.expected for question in read_questions(asked)}
    for name, right in ((FAILED, False), (RIGHT, True)):
        verdicts = check_all([(expected[tried.question.id], tried.answer) for tried in read_tried(found, name)])  # type: ignore[misc]
        assert {verdict.correct for verdict in verdicts} == {right}
    assert len(read_answers(tested)) == len(expected)

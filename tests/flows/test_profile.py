"""What the profile itself says: where each phase runs, with which random streams, under which name, and when a person
is asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from blocks import store
from blocks.records import Artifact, Interval
from configs.errors import BadInput, GateFailed
from configs.schema import load
from deployments.commands.run import announcement
from flows import nightly as nightly_phase
from flows import pipeline as pipeline_phase
from flows.phases import PHASES
from flows.release import Released
from tasks.evaluation.held_out import read_questions
from tasks.release.contents import Description

NAMES = [phase.name for phase in PHASES]


def made(kind: str, **files: str) -> Artifact:
    with store.create(kind, settings=dict(files)) as folder:
        for name, content in files.items():
            (folder.path / name.replace("_dot_", ".")).write_text(content)
    return folder.artifact


@pytest.fixture
def dispatched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, tuple[Any, ...]]]:
    """Phase, pool and arguments of everything that the pipeline hands out; nothing is built."""
    seen: list[tuple[str, str, tuple[Any, ...]]] = []
    artifact = made("model", file="x")

    def dispatch(phase: Any, pool: str, *args: Any) -> Any:
        seen.append((phase.name, pool, args))
        if phase.name == "dataset":
            return artifact
        return (
            Released(release=artifact, report=artifact)
            if phase.name == "release"
            else SimpleNamespace(student=artifact, model=artifact, gguf=artifact)
        )

    monkeypatch.setattr(pipeline_phase, "dispatch", dispatch)
    monkeypatch.setattr(
        pipeline_phase, "preflight", lambda phases, profile: None
    )  # the pools that it looks for are names here
    return seen


def run(*overrides: str) -> None:
    pipeline_phase.pipeline.fn("nano", ["evaluation.rehearsal={test: 1, calibration: 1}", *overrides])


@pytest.mark.parametrize("phase", NAMES)
def test_each_phase_goes_to_the_pool_that_pools_names(
    dispatched: list[tuple[str, str, tuple[Any, ...]]], phase: str
) -> None:
    run(f"pools.{phase}=gpu")
    assert {name: pool for name, pool, _ in dispatched} == {name: "gpu" if name == phase else "local" for name in NAMES}


def test_evaluation_and_seed_are_the_held_out_questions_of_every_phase(
    dispatched: list[tuple[str, str, tuple[Any, ...]]],
) -> None:
    def asked(*overrides: str) -> list[str]:
        dispatched.clear()
        run(*overrides)
        (questions,) = {
            one.digest: one
            for _, _, args in dispatched
            for one in args
            if isinstance(one, Artifact) and one.kind == "questions"
        }.values()
        return [question.prompt for question in read_questions(questions)]

    plain = asked()
    assert len(asked("evaluation.rehearsal={test: 2, calibration: 1}")) == 2 * len(plain)
    assert asked("seed=7") != plain
    assert asked("pools.training=gpu") == plain


def test_approval_and_teachers_decide_whether_a_run_that_may_spend_goes_on(
    dispatched: list[tuple[str, str, tuple[Any, ...]]],
) -> None:
    run(
        "approval={above_dollars: 1, before_promotion: false, unattended: refuse, wait_s: 60}",
        "teachers.cap_dollars=0.9",
    )
    assert len(dispatched) == len(NAMES)
    dispatched.clear()
    with pytest.raises(GateFailed, match=r"by the profile's rule approval\.unattended=refuse"):
        run("approval={above_dollars: 1, before_promotion: false, unattended: refuse, wait_s: 60}")
    assert dispatched == []
    run("approval={above_dollars: 1, before_promotion: false, unattended: approve, wait_s: 60}")
    assert len(dispatched) == len(NAMES)


def test_every_phase_is_given_the_profile(dispatched: list[tuple[str, str, tuple[Any, ...]]]) -> None:
    """And with it its own section: data, training, compression, modifiers, routing, release."""
    overrides = [
        "evaluation.rehearsal={test: 1, calibration: 1}",
        "data.source=here",
        "training.minimum_gain=-0.5",
        "compression.target_megabytes=3",
        "modifiers.questions=9",
        "routing.questions=9",
        "release.title=T",
    ]
    run(*overrides[1:])
    assert all(load("nano", overrides) in args for _, _, args in dispatched)


def test_a_night_refuses_a_release_of_a_profile_of_another_name() -> None:
    sure = Interval(mean=0.5, low=0.4, high=0.6, n=10)
    described = Description(
        title="t",
        profile="mine",
        context_tokens=64,
        answer_tokens=8,
        parameters=1,
        modifiers={},
        exact_match_base=sure,
        exact_match_routed=sure,
        routed_minus_base=sure,
    )
    release = made("release", release_dot_json=described.model_dump_json())
    assert nightly_phase._described(release, load("nano", ["name=mine"])).title == "t"
    with pytest.raises(BadInput, match="built from profile mine, not nano"):
        nightly_phase._described(release, load("nano"))


def test_a_run_begins_with_the_profiles_description() -> None:
    assert "Something else" in announcement(load("nano", ["description=Something else."]), "release", [])
    assert load("nano").description in announcement(load("nano"), "release", [])


def test_the_nights_settings_bound_what_it_may_cost() -> None:
    from flows import spending

    def most(*overrides: str) -> Any:
        return spending.of_night({"code": ["coding"]}, load("nano", ["teachers.cap_dollars=100000", *overrides]))

    assert most("nightly.questions=600") > most() > most("nightly.logged=0")

"""The plan against what a run really asks, and the refusal of what cannot be."""

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.estimates.calls import Asked as Estimated
from blocks.journal.journal import FINAL, Journal
from blocks.models.architecture import of_student
from configs.errors import BadInput
from configs.schema import available, load
from deployments.commands import plan_page
from deployments.commands.plan import Plan, plan
from tests.deployments.conftest import Asked
from tests.tiny import TINY


def journaled() -> dict[str, tuple[int, int, int, Decimal]]:
    """By role: calls, prompt tokens, completion tokens, dollars."""
    from sqlalchemy import func, select

    from blocks.journal.journal import calls

    journal = Journal(None)
    query = select(
        calls.c.role,
        func.count(),
        func.sum(calls.c.prompt_tokens),
        func.sum(calls.c.completion_tokens),
        func.sum(calls.c.price),
    ).where(calls.c.state.in_(FINAL))
    with journal.reading() as db:
        found = {
            row[0]: (int(row[1]), int(row[2]), int(row[3]), Decimal(int(row[4])).scaleb(-9))
            for row in db.execute(query.group_by(calls.c.role))
        }
    journal.close()
    return found


def by_role(made: Plan, phase: str) -> dict[str, list[Estimated]]:
    roles: dict[str, list[Estimated]] = {}
    for one in next(one for one in made.phases if one.phase == phase).estimate.asked:
        roles.setdefault(one.role, []).append(one)
    return roles


def test_a_dataset_costs_what_the_plan_says(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGUMI_HOME", str(asked.home))
    planned = by_role(plan(load("nano", TINY), TINY, "h100"), "dataset")
    actual = journaled()
    assert set(actual) == set(planned)
    for role, estimates in planned.items():
        calls, prompt, completion, dollars = actual[role]
        assert calls <= sum(one.most_calls for one in estimates), role
        assert sum(one.least_dollars for one in estimates) <= dollars <= sum(one.most_dollars for one in estimates), (
            role
        )
        assert sum(one.calls for one in estimates) == pytest.approx(calls, rel=0.15), role
        assert sum(one.prompt_tokens for one in estimates) == pytest.approx(prompt, rel=0.2), role
        assert sum(one.completion_tokens for one in estimates) == pytest.approx(completion, rel=0.3), role
        assert sum(one.dollars for one in estimates) == pytest.approx(dollars, rel=Decimal("0.2")), role


@pytest.mark.parametrize(
    ("overrides", "profile", "gpu", "said"),
    [
        (
            ["compression.target_megabytes=0.5"],
            "nano",
            "h100",
            r"target_megabytes 0\.5 cannot be reached: 1\.90M weights",
        ),
        (
            ["compression.target_megabytes=520"],
            "llama-8b",
            "h100",
            r"target_megabytes 520 cannot be reached.*instead: Llama-3\.2-1B",
        ),
        (
            ["release.size_limit_mib=1"],
            "nano",
            "h100",
            r"release\.size_limit_mib 1 cannot be reached: 1\.9 million parameters in Q5_K_M alone are 1\.2 MiB",
        ),
        (
            ["teachers.cap_dollars=0.5"],
            "nano",
            "h100",
            r"cap_dollars 0\.5 cannot be enough: the calls cost at least \$\d\.\d\d \(expected \$\d\.\d\d\)",
        ),
        (["teachers.cap_dollars=20"], "llama-8b", "h100", r"cap_dollars 20 cannot be enough"),
        ([], "llama-8b", "4090", r"phase training: .* needs about \d+ GB, the 4090 has 24 GB"),
        (["training.fine_tuning.batch=16"], "llama-1b", "4090", r"phase training: fine-tuning needs about \d+ GB"),
        ([], "nano", "b7", "unknown accelerator 'b7'; there are: 4090, a100, h100, h200"),
        (["evaluation.rehearsal=null"], "nano", "h100", "no held-out questions for test"),
        (
            ["evaluation.rehearsal={test: 1, calibration: 1}"],
            "nano",
            "h100",
            r"16 held-out questions cannot show routing\.tolerance.* questions are needed",
        ),
        (
            ["evaluation.rehearsal={test: 30, calibration: 1}"],
            "nano",
            "h100",
            r"modifier code: 2 held-out questions cannot show modifiers\.acceptance",
        ),
        (["training.minimum_gain=0.5"], "nano", "h100", r"cannot show training\.minimum_gain.*lower the threshold"),
        (
            ["data.planning.domains={cooking: {share: 1, task_type: a, topics: [b]}}"],
            "nano",
            "h100",
            "unknown domain 'cooking'",
        ),
        (
            ["training.student={source: hub, repository: some/Model, revision: " + "a" * 40 + ", dtype: bfloat16}"],
            "llama-8b",
            "h100",
            "the sizes of some/Model are not known here",
        ),
    ],
)
def test_the_impossible_is_refused_in_one_line(overrides: list[str], profile: str, gpu: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refusal:
        plan(load(profile, overrides), overrides, gpu)
    assert "\n" not in str(refusal.value)


@given(
    examples=st.integers(40, 20_000), more=st.integers(1, 5_000), hard=st.floats(0, 1), questions=st.integers(1, 3_000)
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bounds_are_in_order_and_more_never_costs_less(
    examples: int, more: int, hard: float, questions: int
) -> None:
    def made(count: int) -> Plan:
        overrides = [
            f"data.planning.examples={count}",
            f"data.planning.hard_share={hard}",
            f"modifiers.questions={questions}",
            "teachers.cap_dollars=100000",
        ]
        return plan(load("nano", overrides), overrides, "h100")

    one, larger = made(examples), made(examples + more)
    for phase in one.phases:
        assert phase.calls <= phase.most_calls
        assert phase.least_dollars <= phase.dollars <= phase.most_dollars
        for estimate in phase.estimate.asked:
            assert estimate.least_dollars <= estimate.dollars <= estimate.most_dollars
    for name in ("calls", "dollars", "most_dollars", "least_dollars", "wall_s", "disk_bytes"):
        assert getattr(one.all, name) <= getattr(larger.all, name)


def test_adapters_have_as_many_weights_as_peft_makes() -> None:
    """PEFT's own count for rank 64 on all projections of the nano student, as the manifest of a run says it."""
    lora = load("nano").training.fine_tuning
    assert of_student(load("nano").training.student).adapter(lora.rank, lora.targets) == 786_432


def test_every_shipped_profile_has_a_plan_that_reads_and_parses(capsys: pytest.CaptureFixture[str]) -> None:
    for name in available():
        made = plan(load(name), [], "4090" if name == "llama-1b" else "h100")  # what their descriptions promise
        plan_page.show(made)
        shown = capsys.readouterr().out
        for phase in made.phases:
            assert phase.phase in shown
        assert all(line in shown for line in made.assumptions)
        assert json.loads(made.model_dump_json())["all"]["calls"] == made.all.calls
        assert Plan.model_validate_json(made.model_dump_json()) == made


def test_a_plan_says_where_its_dollars_are_not_paid() -> None:
    assert [
        any("nothing is paid" in note for note in plan(load(name), [], "h100").notes) for name in ("nano", "llama-8b")
    ] == [True, False]

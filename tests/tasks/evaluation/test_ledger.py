"""The ledger's rows and words, and the figures drawn from them."""

import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import store
from blocks.records import Answered, Artifact, Interval, LedgerRow
from configs.errors import BadInput
from tasks.evaluation.evaluate import evaluate, summarise
from tasks.evaluation.ledger import judge, ledger, ledger_row, read_ledger, weight_bytes
from tasks.evaluation.plots import domains_plot, ledger_plot
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import settings
from tests.tiny_llama import tiny

EDGES = st.floats(-1, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("low", "mean", "high", "verdict"),
    [
        (0.01, 0.03, 0.05, "better"),
        (0.0, 0.02, 0.04, "no worse"),
        (-0.02, 0.01, 0.04, "no worse"),
        (-0.05, -0.01, 0.03, "kept"),
        (-0.06, -0.04, -0.02, "reverted"),
        (-0.10, -0.04, 0.02, "reverted"),
    ],
)
def test_a_verdict_says_what_the_interval_shows(low: float, mean: float, high: float, verdict: str) -> None:
    assert judge(Interval(mean=mean, low=low, high=high, n=100), tolerance=0.03) == verdict


@given(st.tuples(EDGES, EDGES, EDGES).map(sorted), st.floats(0, 1))
def test_nothing_is_better_without_the_interval_and_no_large_loss_is_kept(edges: list[float], tolerance: float) -> None:
    low, mean, high = edges
    verdict = judge(Interval(mean=mean, low=low, high=high, n=10), tolerance)
    assert (verdict == "better") == (low > 0)
    assert (verdict == "reverted") == (mean < -tolerance)
    assert (verdict == "no worse") == (-tolerance <= low <= 0)


def rows() -> list[LedgerRow]:
    """The student, its 8-bit export, and its export spoilt by an adapter that is then taken back."""
    questions, some = sayings(), settings(tolerance=0.02)
    base, small = evaluate(tiny().model, questions, some), evaluate(tiny().ggufs["Q8_0"], questions, some)
    with store.create("evaluation", parents=[tiny().model, questions]) as spoilt:
        source = store.open(small)
        (spoilt.path / "summary.json").write_text((source / "summary.json").read_text())
        (spoilt.path / "answers.jsonl").write_text(
            (source / "answers.jsonl").read_text().replace('"correct":true', '"correct":false', 6)
        )
        spoilt.metrics["tokens_per_second"] = 10.0
    return [
        ledger_row(
            step="student",
            model=tiny().model,
            evaluation=base,
            previous=None,
            parameters=100_000,
            settings=some,
            seed=0,
        ),
        ledger_row(
            step="Q8_0",
            model=tiny().ggufs["Q8_0"],
            evaluation=small,
            previous=base,
            parameters=100_000,
            settings=some,
            seed=0,
        ),
        ledger_row(
            step="broken",
            model=tiny().ggufs["Q8_0"],
            evaluation=spoilt.artifact,
            previous=small,
            parameters=100_000,
            settings=some,
            seed=0,
            fallback="Q8_0",
        ),
    ]


def test_rows_hold_what_was_measured() -> None:
    first, second, third = rows()
    assert (first.verdict, first.difference, first.note) == ("first", None, "")
    size = (Path(tiny().ggufs["Q8_0"].uri) / "model.gguf").stat().st_size
    assert (second.bytes, second.bits_per_parameter, second.model) == (
        size,
        8 * size / 100_000,
        tiny().ggufs["Q8_0"].digest,
    )
    assert first.bytes == (Path(tiny().model.uri) / "model.safetensors").stat().st_size
    assert second.difference is not None
    assert second.difference.mean == 0
    assert second.difference.low < 0 < second.difference.high
    assert (third.verdict, third.note) == ("reverted", "Q8_0 is used instead")
    assert third.difference is not None
    assert third.difference.mean == pytest.approx(-6 / 12)
    assert third.difference.high < 0


def test_the_ledger_is_kept_as_data_and_for_people() -> None:
    made = rows()
    artifact = ledger(made)
    assert read_ledger(artifact) == made
    text = (store.open(artifact) / "ledger.md").read_text()
    assert "The same 12 held-out questions" in text
    assert f"| {made[1].bytes / 1e6:.2f} |" in text
    assert "-50.0 [" in text
    assert "| reverted | Q8_0 is used instead |" in text
    assert "| step | coding | math |" in text
    assert artifact.metrics == {"rows": 3, "reverted": 1}


def test_only_the_same_questions_are_compared() -> None:
    one, other = evaluate(tiny().model, sayings(), settings()), evaluate(tiny().model, fewer(), settings())
    with pytest.raises(BadInput, match="are not of the same questions"):
        ledger_row(
            step="s", model=tiny().model, evaluation=other, previous=one, parameters=1, settings=settings(), seed=0
        )
    with pytest.raises(BadInput, match="holds no weights"):
        weight_bytes(store.open(sayings()))
    with pytest.raises(BadInput, match="is not a ledger"):
        read_ledger(one)
    with pytest.raises(BadInput, match="at least one row"):
        ledger([])


def fewer() -> Artifact:
    whole = store.open(sayings())
    with store.create("questions") as folder:
        for name in ("questions.jsonl", "references.jsonl"):
            (folder.path / name).write_text("".join((whole / name).read_text().splitlines(keepends=True)[:5]))
    return folder.artifact


def graded(right: list[bool]) -> Artifact:
    """An evaluation with these verdicts."""
    answers = [
        Answered(
            question=str(i),
            domain="math",
            difficulty="easy",
            task_type="t",
            prompt="?",
            text="",
            correct=one,
            reason="",
            logprobs=(),
        )
        for i, one in enumerate(right)
    ]
    summary = summarise(answers, [], [np.ones(3)], settings())
    with store.create("evaluation", settings={"right": right}) as folder:
        (folder.path / "answers.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in answers))
        (folder.path / "summary.json").write_text(summary.model_dump_json())
        folder.metrics["tokens_per_second"] = 1.0
    return folder.artifact


def test_tolerance_seed_and_resamples_decide_the_row() -> None:
    random = np.random.default_rng(0)
    before = graded((random.random(700) < 0.9).tolist())
    after = graded((random.random(700) < 0.87).tolist())

    def row(seed: int = 0, **changes: object) -> LedgerRow:
        return ledger_row(
            step="s",
            model=tiny().model,
            evaluation=after,
            previous=before,
            parameters=1,
            settings=settings(**changes),
            seed=seed,
        )

    assert row().perplexity == pytest.approx(np.e)
    found = row().difference
    assert found is not None
    assert found.low < found.mean < 0
    assert row(tolerance=-found.low + 0.001).verdict == "no worse"
    assert row(tolerance=-(found.low + found.mean) / 2).verdict == "kept"
    assert row(tolerance=-found.mean / 2).verdict == "reverted"
    assert row() == row()
    assert len({str(row(seed=seed).difference) for seed in range(4)}) > 1
    assert len({str(row(resamples=resamples).difference) for resamples in (1000, 1500, 2000, 4000)}) > 1


def test_figures_are_the_same_text_every_time_and_name_what_they_show() -> None:
    made = rows()
    drawn = ledger_plot(made)
    assert drawn == ledger_plot(made)
    assert xml.fromstring(drawn).tag.endswith("svg")
    for text in ("student", "broken (reverted)", "weights, megabytes", "12 held-out questions"):
        assert text in drawn
    other = domains_plot(made[0].by_domain, made[1].by_domain, ("before", "after"), "Modifiers")
    assert other == domains_plot(made[0].by_domain, made[1].by_domain, ("before", "after"), "Modifiers")
    for text in ("coding", "math", "before", "after", "Modifiers"):
        assert text in other

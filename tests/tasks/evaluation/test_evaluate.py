"""Evaluation of a student by transformers and by llama.cpp: right counts, equal answers, the same artifact twice."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blocks import json_lines, store
from blocks.engines.loading import Files, load
from blocks.models.template import LLAMA
from blocks.records import Artifact, Expected
from configs.errors import BadInput
from tasks.evaluation.agreement import agreement
from tasks.evaluation.engine import described, running
from tasks.evaluation.evaluate import evaluate, read_answers, read_left_out, read_summary
from tasks.evaluation.held_out import read_questions
from tasks.modifiers.failures import failures
from tests.tasks.evaluation.sayings import sayings
from tests.tasks.evaluation.settings import settings
from tests.tiny_llama import PROMPTS, make_model, saying, tiny

KINDS = ("model", "gguf")


def student(kind: str) -> Artifact:
    return tiny().model if kind == "model" else tiny().ggufs["F32"]


@pytest.mark.parametrize("kind", KINDS)
def test_right_answers_are_counted_overall_and_by_group(kind: str) -> None:
    made = evaluate(student(kind), sayings(wrong=3), settings())
    answers, summary = read_answers(made), read_summary(made)
    assert [one.text for one in answers] == [saying(prompt) for prompt in PROMPTS]
    assert [one.correct for one in answers] == [False] * 3 + [True] * 9
    assert (summary.exact_match.mean, summary.exact_match.n) == (0.75, 12)
    assert {domain: (interval.mean, interval.n) for domain, interval in summary.by_domain.items()} == {
        "coding": (4 / 6, 6),
        "math": (5 / 6, 6),
    }
    assert {level: (interval.mean, interval.n) for level, interval in summary.by_difficulty.items()} == {
        "hard": (3 / 4, 4),
        "easy": (6 / 8, 8),
    }
    assert made.metrics["exact_match"] == 0.75
    assert made.metrics["tokens_per_second"] > 0
    assert 1 < made.metrics["perplexity"] < 1.2, "it has learned these answers"
    assert summary.perplexity_tokens == sum(len(one.logprobs) - 1 for one in answers), (
        "every answer token but the closing one"
    )
    assert summary.generated_tokens == sum(len(one.logprobs) for one in answers)
    assert summary.cut_answers == 0
    assert made.parents == (student(kind).digest, sayings(wrong=3).digest)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_gives_the_same_artifact_twice(kind: str) -> None:
    assert (
        evaluate(student(kind), sayings(), settings()).digest
        == evaluate(student(kind), sayings(), settings(tolerance=0.5)).digest
    )


def test_both_engines_find_the_same_likelihoods() -> None:
    one, two = (evaluate(student(kind), sayings(), settings()) for kind in KINDS)
    assert read_summary(one).perplexity == pytest.approx(read_summary(two).perplexity, rel=1e-3)
    for first, second in zip(read_answers(one), read_answers(two), strict=True):
        np.testing.assert_allclose(first.logprobs, second.logprobs, atol=2e-3)


def test_an_adapter_changes_the_answers_alike_in_both_engines() -> None:
    plain = read_summary(evaluate(tiny().model, sayings(), settings()))
    one = read_summary(evaluate(tiny().model, sayings(), settings(), tiny().adapters["code"]))
    two = read_summary(evaluate(tiny().ggufs["F32"], sayings(), settings(), tiny().gguf_adapters["code"]))
    assert one.perplexity is not None
    assert plain.perplexity is not None
    assert one.perplexity > plain.perplexity
    assert two.perplexity == pytest.approx(one.perplexity, rel=2e-3), "the exported adapter is float16"


def test_batches_change_neither_answers_nor_likelihoods_and_agree_with_generate() -> None:
    import torch

    prompts = [LLAMA.prompt(text) for text in ["Say apple", *PROMPTS, "Say fig fig fig fig plum", "What else?"]]
    pairs = [(prompt, "fig apple and something else") for prompt in prompts]
    by_batch = []
    for batch in (1, 4, 15):
        asked = settings(batch=batch)
        model: Any = load(described("model", asked), Files(store.open(tiny().model)), running(asked))
        with model:
            scored = [one.nll for one in model.score(pairs)]
            by_batch.append((model.complete(prompts, max_tokens=20), scored))
    generated, scores = by_batch[0]
    for others, other_scores in by_batch[1:]:
        assert [one.tokens for one in others] == [one.tokens for one in generated]
        for one, other in zip(generated, others, strict=True):
            np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)
        for mine, theirs in zip(scores, other_scores, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)
    for prompt, one in zip(prompts, generated, strict=True):
        ids = torch.tensor(model.encode([prompt]))
        expected = model.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False)[
            0, ids.shape[1] :
        ].tolist()
        assert list(one.tokens) == expected
        assert one.prompt_tokens == ids.shape[1]


def folded(made: Artifact) -> tuple[Any, ...]:
    """What an evaluation found, to be compared with another."""
    return (
        tuple((one.text, one.logprobs) for one in read_answers(made)),
        read_summary(made).perplexity,
        read_summary(made).perplexity_tokens,
    )


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("model", {"max_new_tokens": 2}),
        ("model", {"dtype": "bfloat16"}),
        ("model", {"perplexity_questions": 3}),
        ("gguf", {"max_new_tokens": 2}),
        ("gguf", {"cache_type_k": "q8_0"}),
        ("gguf", {"cache_type_v": "q8_0"}),
        ("gguf", {"perplexity_questions": 3}),
    ],
)
def test_every_setting_changes_what_is_found(kind: str, change: dict[str, Any]) -> None:
    before, after = (evaluate(student(kind), sayings(), one) for one in (settings(), settings(**change)))
    assert folded(before) != folded(after)
    assert before.digest != after.digest


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be evaluated"):
        evaluate(tiny().adapters["code"], sayings(), settings())
    with pytest.raises(BadInput, match="a gguf takes an artifact of kind gguf_adapter"):
        evaluate(tiny().ggufs["F32"], sayings(), settings(), tiny().adapters["code"])
    with pytest.raises(BadInput, match="is not a questions artifact"):
        evaluate(tiny().model, tiny().model, settings())
    for kind in KINDS:
        with pytest.raises(BadInput, match=r"do not fit evaluation\.context = 24; raise it"):
            evaluate(student(kind), sayings(), settings(context=24))
    with pytest.raises(BadInput, match="is not an evaluation"):
        read_answers(tiny().model)


def test_questions_without_a_check_are_refused_before_anything_runs() -> None:
    with store.create("questions") as folder:
        (folder.path / "questions.jsonl").write_text(
            '{"id":"a","prompt":"?","domain":"math","difficulty":"easy","task_type":"t","source":"s"}\n'
        )
    with pytest.raises(BadInput, match=r"1 of 1 questions have no check \(first: \['a'\]\)"):
        evaluate(tiny().model, folder.artifact, settings())


def test_an_export_agrees_with_its_model_and_another_ones_does_not() -> None:
    exact = agreement(tiny().model, tiny().ggufs["F32"], sayings(), settings())
    assert (exact.share, exact.agreeing_answers, exact.agreeing_prompts) == (1.0, 12, 12)
    assert all(check.passed for check in exact.checks(settings()))
    rounded = agreement(tiny().model, tiny().ggufs["Q8_0"], sayings(), settings(agreement_questions=5))
    assert (rounded.questions, rounded.agreeing_prompts) == (5, 5)
    assert rounded.share >= 0.9
    other = agreement(make_model(seed=7, teach=False), tiny().ggufs["F32"], sayings(), settings())
    assert other.share < 0.5
    assert other.agreeing_prompts == 12
    assert [check.passed for check in other.checks(settings())] == [False, True]
    assert not math.isnan(other.share)
    with pytest.raises(BadInput, match="agreement compares a model with a gguf"):
        agreement(tiny().ggufs["F32"], tiny().model, sayings(), settings())


def broken(bad: set[int]) -> Artifact:
    """The sayings, some with a check that no answer can be judged by, as teachers wrote them before checks were
    tried."""
    asked = [
        one.model_copy(update={"expected": Expected(kind="value", value="twenty-four")}) if number in bad else one
        for number, one in enumerate(read_questions(sayings()))
    ]
    with store.create("questions", settings={"bad": sorted(bad)}) as folder:
        json_lines.write(folder.path / "questions.jsonl", asked)
        (folder.path / "references.jsonl").write_bytes((store.open(sayings()) / "references.jsonl").read_bytes())
    return folder.artifact


def test_a_question_whose_check_cannot_be_used_is_left_out_named_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    questions = broken({1, 4})
    made = evaluate(student("model"), questions, settings())
    assert [one.question for one in read_answers(made)] == [
        f"q{number}" for number in range(12) if number not in (1, 4)
    ]
    assert [one.question for one in read_left_out(made)] == ["q1", "q4"]
    assert "twenty-four" in read_left_out(made)[0].reason
    assert made.metrics["left_out"] == 2
    assert "2 of 12 questions are left out" in caplog.text
    assert "q1" in caplog.text
    parted = failures.fn(questions, made)
    assert parted.metrics["asked"] == 10
    assert parted.metrics["left_out"] == 2
    with pytest.raises(BadInput, match="none of its 12 questions has a check that can be used"):
        evaluate(student("model"), broken(set(range(12))), settings())


@pytest.mark.parametrize("kind", KINDS)
def test_questions_without_reference_answers_are_answered_and_have_no_perplexity(kind: str) -> None:
    with store.create("questions", settings={"references": "none"}) as folder:
        json_lines.write(folder.path / "questions.jsonl", read_questions(sayings()))
    made = evaluate(student(kind), folder.artifact, settings())
    summary = read_summary(made)
    assert summary.exact_match.mean == 1
    assert (summary.perplexity, summary.perplexity_tokens) == (None, 0)
    assert "perplexity" not in made.metrics
    assert summary.by_domain == read_summary(evaluate(student(kind), sayings(), settings())).by_domain

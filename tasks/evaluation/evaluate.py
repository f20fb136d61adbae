"""Measure a model on held-out questions: greedy answers, checked one by one, and perplexity on the right answers.

A "model" is answered by transformers and a "gguf" by llama.cpp, unless the settings name another engine. Perplexity is
that of the engine that answered, with the keys and values as it keeps them. Speed is in the artifact's metrics, not in
its files, so that the same model gives the same artifact twice. Not here: comparing two models (statistics.py,
ledger.py).
"""

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from blocks import json_lines, store
from blocks.checkers.judge import check_all, unusable
from blocks.engines.completion import Completion
from blocks.engines.transformers import refuse_too_long
from blocks.progress import progress
from blocks.records import Answered, Artifact, Interval, Question, Record
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation
from tasks.evaluation.engine import ADAPTER, opened, takes_text
from tasks.evaluation.held_out import read_questions, read_references, spread
from tasks.evaluation.perplexity import OVER, perplexity
from tasks.evaluation.statistics import wilson
from tasks.step import step

log = logging.getLogger("cogumi.evaluation")
LEFT_OUT = "left_out.jsonl"
DIGITS = 5  # of log-probabilities in answers.jsonl: below what batching changes, above what a router sees
ADAPTERS = {"model": "adapter", "w4a16": "adapter", "gguf": "gguf_adapter"}


class Summary(Record):
    """summary.json of an evaluation. ``perplexity`` is None where no reference answer exists."""

    questions: int
    exact_match: Interval
    by_domain: dict[str, Interval]
    by_difficulty: dict[str, Interval]
    perplexity: float | None
    perplexity_tokens: int
    perplexity_over: str
    generated_tokens: int
    cut_answers: int


class LeftOut(Record):
    """A question that was not posed, since no answer can be judged by its check."""

    question: str
    reason: str


class Taken(Record):
    """What generating took: all prompts' and answers' tokens over the wall seconds between first prompt and last
    answer."""

    tokens: int
    seconds: float


@step(version=3)
def evaluate(model: Artifact, questions: Artifact, settings: Evaluation, adapter: Artifact | None = None) -> Artifact:
    """Answer every question greedily, alone or with ``adapter`` on the model.

    A question whose check no answer can be judged by (a teacher wrote it) is left out, counted and named.

    Returns:
        Artifact of kind "evaluation": answers.jsonl (Answered, in the order of the questions), summary.json (Summary)
        and, where there are any, left_out.jsonl (LeftOut).
        Metrics: exact_match, perplexity, tokens_per_second (prompt and answer tokens over the wall time of generation,
        loading left out), seconds_generating.

    Raises:
        BadInput: model and adapter are not of kinds that belong together, a question has no check or does not fit, or
            no check can be used.
    """
    _refuse_kinds(model, adapter, settings)
    asked, references = read_questions(questions), read_references(questions)
    unchecked = [question.id for question in asked if question.expected is None]
    if unchecked or not asked:
        raise BadInput(
            f"{questions.short}: {len(unchecked)} of {len(asked)} questions have no check (first: {unchecked[:1]}); "
            "evaluate only questions with one"
        )
    asked, left_out = _usable(asked, questions)
    pairs = [
        (question.prompt, references[question.id])
        for question in spread([q for q in asked if q.id in references], settings.perplexity_questions)
    ]
    with store.create(
        "evaluation", parents=[model, *([adapter] if adapter else []), questions], settings=_described(settings)
    ) as folder:
        prompts = [question.prompt for question in asked]
        generated, scores, taken = _answers(model, adapter, prompts, pairs, settings)
        answered = _check(asked, generated)
        summary = summarise(answered, generated, scores, settings)
        json_lines.write(folder.path / "answers.jsonl", answered)
        (folder.path / "summary.json").write_text(summary.model_dump_json(indent=1) + "\n", encoding="utf-8")
        folder.metrics |= {
            "exact_match": summary.exact_match.mean,
            "tokens_per_second": taken.tokens / taken.seconds,
            "seconds_generating": taken.seconds,
        }
        if left_out:
            json_lines.write(folder.path / LEFT_OUT, left_out)
            folder.metrics["left_out"] = len(left_out)
        if summary.perplexity is not None:
            folder.metrics["perplexity"] = summary.perplexity
    return folder.artifact


def read_answers(evaluation: Artifact) -> list[Answered]:
    """The answers of an evaluation, in the order of its questions."""
    return json_lines.read(_open(evaluation) / "answers.jsonl", Answered)


def read_left_out(evaluation: Artifact) -> list[LeftOut]:
    """The questions that were not posed, and why."""
    return json_lines.read(_open(evaluation) / LEFT_OUT, LeftOut)


def read_summary(evaluation: Artifact) -> Summary:
    """The summary of an evaluation."""
    return Summary.model_validate_json((_open(evaluation) / "summary.json").read_text(encoding="utf-8"))


def summarise(
    answered: Sequence[Answered], generated: Sequence[Completion], scores: Sequence[np.ndarray], settings: Evaluation
) -> Summary:
    """Shares with Wilson intervals, overall and by domain and difficulty; perplexity to six significant digits."""
    value, tokens = perplexity(scores)
    return Summary(
        questions=len(answered),
        exact_match=share(answered),
        by_domain={
            domain: share([one for one in answered if one.domain == domain])
            for domain in dict.fromkeys(one.domain for one in answered)
        },
        by_difficulty={
            level: share([one for one in answered if one.difficulty == level])
            for level in dict.fromkeys(one.difficulty for one in answered)
        },
        perplexity=None if math.isnan(value) else float(f"{value:.6g}"),
        perplexity_tokens=tokens,
        perplexity_over=OVER,
        generated_tokens=sum(len(one.tokens) for one in generated),
        cut_answers=sum(len(one.tokens) >= settings.max_new_tokens for one in generated),
    )


def share(answered: Sequence[Answered]) -> Interval:
    """The share of right answers."""
    return wilson(sum(one.correct for one in answered), len(answered))


def _answers(
    model: Artifact, adapter: Artifact | None, prompts: list[str], pairs: list[tuple[str, str]], settings: Evaluation
) -> tuple[list[Completion], list[np.ndarray], Taken]:
    """All prompts, in the student's chat format, in one call to a fresh engine, whose batches are then the same every
    time."""
    under = ADAPTER if adapter else None
    with opened(model, adapter, settings) as engine:
        template = engine.template
        prompts = [template.prompt(prompt) for prompt in prompts]
        pairs = [(template.prompt(prompt), template.guard(answer)) for prompt, answer in pairs]
        ids = engine.encode(prompts)
        refuse_too_long([len(one) for one in ids], settings.max_new_tokens, settings.context)
        given = prompts if takes_text(settings) else ids
        with progress("evaluate", len(prompts)) as advance:
            started = time.monotonic()
            answers = engine.complete(given, max_tokens=settings.max_new_tokens, adapter=under, advance=advance)
            seconds = time.monotonic() - started
        scores = [scored.nll for scored in engine.score(pairs, adapter=under)] if pairs else []
    return answers, scores, _taken(answers, seconds)


def _taken(generated: Sequence[Completion], seconds: float) -> Taken:
    return Taken(tokens=sum(one.prompt_tokens + len(one.tokens) for one in generated), seconds=seconds)


def _usable(asked: Sequence[Question], source: Artifact) -> tuple[list[Question], list[LeftOut]]:
    """The questions that can be judged, and the others."""
    faults = {
        question.id: fault
        for question in asked
        if question.expected is not None and (fault := unusable(question.expected)) is not None
    }
    named = "; ".join(f"{name}: {fault}" for name, fault in list(faults.items())[:3])
    kept = [question for question in asked if question.id not in faults]
    if not kept:
        raise BadInput(
            f"{source.short}: none of its {len(asked)} questions has a check that can be used ({named}); have others "
            "written"
        )
    if faults:
        log.warning(
            "%s: %d of %d questions are left out, their checks cannot be used (%s)",
            source.short,
            len(asked) - len(kept),
            len(asked),
            named,
        )
    return kept, [LeftOut(question=name, reason=fault) for name, fault in faults.items()]


def _check(asked: Sequence[Question], generated: Sequence[Completion]) -> list[Answered]:
    verdicts = check_all(
        [
            (question.expected, one.text)
            for question, one in zip(asked, generated, strict=True)
            if question.expected is not None
        ]
    )
    return [
        Answered(
            question=question.id,
            domain=question.domain,
            difficulty=question.difficulty,
            task_type=question.task_type,
            prompt=question.prompt,
            text=one.text,
            correct=verdict.correct,
            reason=verdict.reason,
            logprobs=tuple(round(value, DIGITS) for value in one.logprobs),
        )
        for question, one, verdict in zip(asked, generated, verdicts, strict=True)
    ]


def _described(settings: Evaluation) -> dict[str, object]:
    """The settings that an evaluation depends on; the questions are its parent."""
    names = ("max_new_tokens", "context", "dtype", "cache_type_k", "cache_type_v", "perplexity_questions", "engine")
    return {name: value for name, value in settings.identity().items() if name in names}


def _refuse_kinds(model: Artifact, adapter: Artifact | None, settings: Evaluation) -> None:
    if model.kind not in ADAPTERS:
        raise BadInput(f"{model.short} cannot be evaluated; give a model, a w4a16 or a gguf")
    if model.kind == "w4a16" and settings.engine.kind == "in_process":
        raise BadInput(f"{model.short} is for vLLM: set evaluation.engine to it, or evaluate the unpacked model")
    if adapter is not None and adapter.kind != ADAPTERS[model.kind]:
        raise BadInput(
            f"{adapter.short} does not go on {model.short}; a {model.kind} takes an artifact of kind "
            f"{ADAPTERS[model.kind]}"
        )


def _open(evaluation: Artifact) -> Path:
    if evaluation.kind != "evaluation":
        raise BadInput(f"{evaluation.short} is not an evaluation; make one with evaluate")
    return store.open(evaluation)

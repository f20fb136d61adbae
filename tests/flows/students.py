"""A student of known strengths in place of a trained one, and a look at what a phase hands its steps; the rest of a
phase is real."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from blocks import store
from blocks.models.template import LLAMA
from blocks.records import Answered, Artifact, Question
from blocks.rehearsal import world
from configs.phases.evaluation import Evaluation
from tasks.evaluation.evaluate import summarise
from tasks.evaluation.held_out import read_questions
from tasks.step import Step

Chance = Callable[[Artifact, Question, Artifact | None], float]


class Call(NamedTuple):
    """One call of a step: its name and its arguments."""

    step: str
    arguments: tuple[Any, ...]


def answering(
    patch: pytest.MonkeyPatch,
    places: str | list[str],
    chance: Chance,
    perplexity: Callable[[Artifact], float] = lambda _: 2.0,
) -> None:
    """``evaluate`` at ``places`` answers as a student would that is right with ``chance`` (model, question, adapter)
    and knows it: one token of an answer has that probability, the others are sure."""

    def evaluate(
        model: Artifact, questions: Artifact, settings: Evaluation, adapter: Artifact | None = None
    ) -> Artifact:
        rows = [_answer(model, question, chance(model, question, adapter)) for question in read_questions(questions)]
        summary = summarise(rows, [], [np.full(8, np.log(perplexity(model)))], settings)
        with store.create(
            "evaluation", parents=[model, *([adapter] if adapter else []), questions], settings={}
        ) as folder:
            (folder.path / "answers.jsonl").write_text(
                "".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8"
            )
            (folder.path / "summary.json").write_text(summary.model_dump_json(), encoding="utf-8")
            folder.metrics["tokens_per_second"] = 1.0
        return folder.artifact

    for place in [places] if isinstance(places, str) else places:
        patch.setattr(f"{place}.evaluate", evaluate)


def _answer(model: Artifact, question: Question, chance: float) -> Answered:
    draw = random.Random(
        f"{model.digest} {question.id}"
    )  # an adapter without a say in a question leaves the answer as it was
    guess = min(1.0, max(0.01, chance + draw.uniform(-0.3, 0.3)))
    right = draw.random() < guess
    parts = world.worked(question.prompt)
    assert parts is not None
    worked = f"<draft>{parts.draft}</draft><thinking>{parts.thinking}</thinking>" if parts.draft is not None else ""
    logprobs = [-0.01] * draw.randint(4, 12) + [float(np.log(guess))]
    return Answered(
        question=question.id,
        domain=question.domain,
        difficulty=question.difficulty,
        task_type=question.task_type,
        prompt=question.prompt,
        text=LLAMA.guard(worked + (parts.response if right else "I do not know")),
        correct=right,
        reason="",
        logprobs=tuple(logprobs),
    )


def watched(patch: pytest.MonkeyPatch, module: Any) -> list[Call]:
    """Every call of a step that ``module`` makes, as it is made."""
    seen: list[Call] = []

    def watch(step: Step[Any, Any]) -> Callable[..., Any]:
        def call(*args: Any, **given: Any) -> Any:
            seen.append(Call(step.name, (*args, *given.values())))
            return step(*args, **given)

        return call

    for name, value in list(vars(module).items()):
        if isinstance(value, Step):
            patch.setattr(module, name, watch(value))
    return seen


def given(calls: list[Call], step: str) -> list[Any]:
    """The arguments of the first call of ``step``."""
    return list(next(call.arguments for call in calls if call.step == step))

"""Held-out questions: the same ones after every step that changes a model, and others to fit a router with.

The two purposes never share a question: both are cut from one draw without repetition, test questions first. Not here:
the answers (evaluate.py), and keeping training questions away from these (the rehearsal world's and the data phase's
task).
"""

import json
import random
from collections.abc import Iterable
from typing import Literal, TypeVar, get_args

from blocks import json_lines, store
from blocks.models import sections
from blocks.records import DOMAINS, Artifact, Difficulty, Question
from blocks.rehearsal import world
from configs.errors import BadInput
from configs.phases.evaluation import Evaluation
from tasks.evaluation import benchmarks
from tasks.step import step

Purpose = Literal["test", "calibration"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
Posed = tuple[Question, str]
T = TypeVar("T")


@step(version=2)
def held_out(settings: Evaluation, seed: int, purpose: Purpose = "test") -> Artifact:
    """Questions for ``purpose`` ("test": reports and ledger; "calibration": to fit a router or a threshold with).

    Returns:
        Artifact of kind "questions": questions.jsonl (Question) and references.jsonl ({"question": id, "answer": a
        right assistant turn, as plain text}).

    Raises:
        BadInput: no source is configured, or one has too few questions.
    """
    if purpose not in get_args(Purpose):
        raise BadInput(f"held_out: purpose {purpose!r} is none of {', '.join(get_args(Purpose))}")
    described = {
        "rehearsal": None if settings.rehearsal is None else settings.rehearsal.identity(),
        "benchmarks": [one.identity() for one in settings.benchmarks],
    }
    with store.create("questions", settings=described | {"seed": seed, "purpose": purpose}) as folder:
        drawn = list(_draw(settings, seed, calibration=purpose == "calibration"))
        if not drawn:
            raise BadInput(
                f"no held-out questions for {purpose}: the profile's evaluation names neither rehearsal nor benchmarks"
            )
        json_lines.write(folder.path / "questions.jsonl", [question for question, _ in drawn])
        known = [
            json.dumps({"question": question.id, "answer": answer}, ensure_ascii=False) + "\n"
            for question, answer in drawn
        ]
        (folder.path / "references.jsonl").write_text("".join(known), encoding="utf-8")
        folder.metrics["questions"] = len(drawn)
    return folder.artifact


def read_questions(questions: Artifact) -> list[Question]:
    """The questions of an artifact, in order.

    Raises:
        BadInput: it is not of kind "questions".
    """
    if questions.kind != "questions":
        raise BadInput(f"{questions.short} is not a questions artifact; make one with held_out")
    return json_lines.read(store.open(questions) / "questions.jsonl", Question)


def read_references(questions: Artifact) -> dict[str, str]:
    """Right assistant turns by question id; empty where the artifact has none (questions from elsewhere)."""
    path = store.open(questions) / "references.jsonl"
    rows = [json.loads(line) for line in json_lines.lines(path)]
    return {row["question"]: row["answer"] for row in rows}


def spread(items: list[T], count: int) -> list[T]:
    """``count`` of the items, evenly spread and in order; all of them where ``count`` is 0 or not smaller."""
    if not 0 < count < len(items):
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _draw(settings: Evaluation, seed: int, *, calibration: bool) -> Iterable[Posed]:
    seen: set[str] = set()
    wanted = settings.rehearsal
    if wanted is not None:
        count = wanted.test + wanted.calibration
        for domain in DOMAINS:
            for difficulty in DIFFICULTIES:
                asked = world.questions(domain, difficulty, "held_out", count, seed)
                worked = world.examples(domain, difficulty, "held_out", count, seed)
                pairs = [(question, sections.written(example)) for question, example in zip(asked, worked, strict=True)]
                yield from _part(
                    pairs,
                    wanted.test,
                    wanted.calibration,
                    seen,
                    calibration=calibration,
                    source=f"rehearsal {domain} {difficulty}",
                )
    for benchmark in settings.benchmarks:
        posed = list(benchmarks.questions(benchmark))
        random.Random(f"{benchmark.format} {seed}").shuffle(posed)
        yield from _part(
            posed, benchmark.test, benchmark.calibration, seen, calibration=calibration, source=benchmark.format
        )


def _part(
    posed: Iterable[Posed], test: int, others: int, seen: set[str], *, calibration: bool, source: str
) -> list[Posed]:
    """The wanted part of a draw; ``seen`` keeps prompts of all sources and both parts apart."""
    distinct: list[Posed] = []
    for one in posed:
        if len(distinct) == test + others:
            break
        if one[0].prompt not in seen:
            seen.add(one[0].prompt)
            distinct.append(one)
    if len(distinct) < test + others:
        raise BadInput(
            f"{source} has only {len(distinct)} distinct held-out questions, {test} + {others} are wanted; ask for "
            "fewer"
        )
    return distinct[test:] if calibration else distinct[:test]

"""The plan: how many questions of which domain and difficulty are asked for, so that enough are left at the end.

Not here: asking them (questions.py), and evening out what came back (balance.py).
"""

import json
import math
from typing import cast

from blocks import store
from blocks.records import DOMAINS, Artifact, Difficulty, Domain, Record
from configs.errors import BadInput
from configs.phases.data import Planning
from tasks.step import step

PLAN = "plan.json"


class Cell(Record):
    """One domain at one difficulty: ``keep`` examples wanted at the end, ``ask`` questions asked for."""

    domain: Domain
    difficulty: Difficulty
    keep: int
    ask: int
    task_type: str
    topics: tuple[str, ...]


@step(version=1)
def plan(settings: Planning, seed: int) -> Artifact:
    """Share the examples out over domains and difficulties; an artifact of kind "plan".

    Raises:
        BadInput: a domain that Cogumi does not know.
    """
    cells = share_out(settings)
    with store.create("plan", settings={"planning": settings.identity(), "seed": seed}) as folder:
        content = {"seed": seed, "cells": [cell.model_dump() for cell in cells]}
        (folder.path / PLAN).write_text(json.dumps(content, indent=1))
        folder.metrics["questions"] = sum(cell.ask for cell in cells)
        folder.metrics["examples"] = sum(cell.keep for cell in cells)
    return folder.artifact


def share_out(settings: Planning) -> list[Cell]:
    """The cells of the plan; the numbers to keep add up to ``settings.examples``."""
    unknown = sorted(set(settings.domains) - set(DOMAINS))
    if unknown:
        raise BadInput(f"data.planning.domains: unknown domain {unknown[0]!r}; there are: {', '.join(DOMAINS)}")
    total = sum(domain.share for domain in settings.domains.values())
    factors: tuple[tuple[Difficulty, float, float], ...] = (
        ("easy", 1 - settings.hard_share, settings.easy_oversample),
        ("hard", settings.hard_share, settings.hard_oversample),
    )
    weights = [
        (name, difficulty, domain.share / total * share, factor)
        for name, domain in settings.domains.items()
        for difficulty, share, factor in factors
        if share > 0
    ]
    keep = apportion(settings.examples, [weight for _, _, weight, _ in weights])
    return [
        Cell(
            domain=cast(Domain, name),
            difficulty=difficulty,
            keep=count,
            ask=math.ceil(count * factor),
            task_type=settings.domains[name].task_type,
            topics=settings.domains[name].topics,
        )
        for (name, difficulty, _, factor), count in zip(weights, keep, strict=True)
    ]


def apportion(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to ``weights`` (which add up to 1) that add up to ``total``: largest remainders,
    first wins a tie."""
    exact = [total * weight for weight in weights]
    counts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def read_plan(artifact: Artifact) -> tuple[int, list[Cell]]:
    """The seed and the cells of a plan."""
    content = json.loads((store.open(artifact) / PLAN).read_text())
    return content["seed"], [Cell.model_validate(cell) for cell in content["cells"]]

"""The figures of a report, under names that stay: what report.html shows and ``cogumi report --json`` prints comes from
here.

Every number is read from the artifacts; nothing is measured here. Bytes are bytes, shares lie between 0 and 1, money is
in dollars, times are in seconds; an interval is a mean with its 95% interval. Not here: the page (report.py).
"""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

from pydantic import ConfigDict, Field

from blocks import store
from blocks.engines.description import EngineDescription
from blocks.records import Artifact, GateReport, Interval, LedgerRow, Manifest, Record
from blocks.verdicts import Gain, Routed
from tasks.evaluation.evaluate import Summary, read_answers, read_summary
from tasks.evaluation.ledger import percent, read_ledger
from tasks.evaluation.statistics import paired_difference
from tasks.release.contents import describe

FILE = "figures.json"  # in an artifact of kind "report"


class Sources(Record):
    """What the report reads. ``models``: evaluations of the student in the order it was made; ``curves``: artifacts
    with a curve.json; ``gains``: each modifier's gain report; ``gates``: those passed so far."""

    dataset: Artifact
    curves: dict[str, Artifact]
    models: dict[str, Artifact]
    ledger: Artifact
    gains: list[dict[str, Any]]
    router: Artifact
    release: Artifact
    gates: list[GateReport]


class Facts:
    """The sources, read once."""

    def __init__(self, sources: Sources, resamples: int, seed: int) -> None:
        self.sources = sources
        self.summaries: dict[str, Summary] = {name: read_summary(one) for name, one in sources.models.items()}
        self.stats: dict[str, Any] = json.loads((store.open(sources.dataset) / "stats.json").read_text())
        self.router: dict[str, Any] = json.loads((store.open(sources.router) / "report.json").read_text())
        self.curves = read_curves(sources.curves)
        self.rows = read_ledger(sources.ledger)
        self.release = describe(store.open(sources.release))
        self.changes = {pair: self._change(*pair, resamples, seed) for pair in pairwise(sources.models)}

    def _change(self, before: str, after: str, resamples: int, seed: int) -> Interval:
        first, second = read_answers(self.sources.models[before]), read_answers(self.sources.models[after])
        return paired_difference(
            [one.correct for one in first], [one.correct for one in second], resamples=resamples, seed=seed
        )


def read_curves(curves: dict[str, Artifact]) -> dict[str, Any]:
    """The points of each curve.json, by the name of the training."""
    return {name: json.loads((store.open(one) / "curve.json").read_text()) for name, one in curves.items()}


class Change(Record):
    """Exact match of ``after`` minus ``before``, on the same questions, paired."""

    before: str
    after: str
    difference: Interval


class GateFigure(Record):
    """One check of a gate that was passed through."""

    gate: str
    check: str
    value: float
    rule: str
    threshold: float
    passed: bool


class RouterFigures(Routed):
    """The router, and ``reliability``: the bins before and after calibration; ``test``: the cost-quality curve."""

    reason: str = Field(description="why this threshold")
    reliability: dict[str, Any] | None
    test: dict[str, Any]


class StageFigures(Record):
    """One stage of the dataset phase: rows kept (questions, where it made some), rows rejected by reason, and what its
    calls cost."""

    stage: str
    kept: int | None
    rejected: dict[str, int]
    dollars: Decimal


class TeacherFigures(Record):
    """Rows that a teacher wrote."""

    teacher: str
    license: str
    examples: int


class DatasetFigures(Record):
    """The dataset. ``composition``: rows by domain, difficulty and the like, as its stats.json has them."""

    train: int
    validation: int
    mean_score: float
    dollars: Decimal
    stages: tuple[StageFigures, ...]
    teachers: tuple[TeacherFigures, ...]
    composition: Any


class StepFigures(Record):
    """What the artifacts of one step took when they were made, those from the cache included."""

    step: str
    artifacts: int
    seconds: float
    peak_memory_bytes: int
    bytes_written: int
    dollars: Decimal


class Figures(Record):
    """Every figure of a report. ``models``: the student in the order it was made; ``steps``: the slowest first."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    format: Literal[1] = 1
    title: str
    profile: str
    overrides: tuple[str, ...]
    release: str = Field(description="digest")
    release_bytes: int
    base: str | None = Field(None, description="the model in the release: base.gguf, or base where it ships packed")
    engine: EngineDescription | None = Field(None, description="what answered every question, and answers now")
    parameters: int
    exact_match_base: Interval
    exact_match_routed: Interval
    routed_minus_base: Interval
    dollars: Decimal
    seconds: float
    shortfalls: tuple[str, ...]
    gates: tuple[GateFigure, ...]
    models: dict[str, Summary]
    changes: tuple[Change, ...]
    ledger: tuple[LedgerRow, ...]
    modifiers: tuple[Gain, ...]
    router: RouterFigures
    dataset: DatasetFigures
    training: dict[str, Any] = Field(description="the curves of every training, by its name")
    steps: tuple[StepFigures, ...]


def gather(facts: Facts, manifests: list[Manifest], profile: str, overrides: list[str]) -> Figures:
    """The figures of what was built. ``manifests``: of everything that the release was made of."""
    release, router = facts.release, facts.router
    summary = router["summary"]
    named = {name: summary[name] for name in Routed.model_fields}
    checks = [(gate.gate, check) for gate in facts.sources.gates for check in gate.checks]
    return Figures(
        title=release.title,
        profile=profile,
        overrides=tuple(overrides),
        release=facts.sources.release.digest,
        release_bytes=facts.sources.release.bytes,
        base=release.base,
        engine=release.engine,
        parameters=release.parameters,
        exact_match_base=release.exact_match_base,
        exact_match_routed=release.exact_match_routed,
        routed_minus_base=release.routed_minus_base,
        dollars=sum((one.dollars for one in manifests), Decimal(0)),
        seconds=sum(one.seconds for one in manifests),
        shortfalls=tuple(shortfalls(facts)),
        gates=tuple(
            GateFigure(
                gate=gate, check=one.name, value=one.value, rule=one.rule, threshold=one.threshold, passed=one.passed
            )
            for gate, one in checks
        ),
        models=facts.summaries,
        changes=tuple(
            Change(before=before, after=after, difference=change) for (before, after), change in facts.changes.items()
        ),
        ledger=tuple(facts.rows),
        modifiers=tuple(Gain.model_validate(gain) for gain in facts.sources.gains),
        router=RouterFigures(
            **named, reason=router["choice"]["reason"], reliability=router.get("reliability"), test=router["test"]
        ),
        dataset=_dataset(facts.stats),
        training=facts.curves,
        steps=_steps(manifests),
    )


def read_figures(report: Artifact) -> Figures | None:
    """The figures of an artifact of kind "report"; None of one that was made before they were kept."""
    path = store.open(report) / FILE
    return Figures.model_validate_json(path.read_text()) if path.is_file() else None


def _dataset(stats: dict[str, Any]) -> DatasetFigures:
    dollars = stats["dollars"]
    return DatasetFigures(
        train=stats["rows"]["train"],
        validation=stats["rows"]["validation"],
        mean_score=stats["quality"]["mean"],
        dollars=Decimal(dollars["total"]),
        stages=tuple(
            StageFigures(
                stage=name,
                kept=numbers.get("kept", numbers.get("questions")),
                rejected={
                    key.removeprefix("rejected_"): value
                    for key, value in numbers.items()
                    if key.startswith("rejected_")
                },
                dollars=Decimal(dollars["by_stage"].get(name, "0")),
            )
            for name, numbers in stats["stages"].items()
        ),
        teachers=tuple(
            TeacherFigures(teacher=row["teacher_model"], license=row["license"], examples=row["rows"])
            for row in stats["teachers"]
        ),
        composition=stats["composition"],
    )


def _steps(manifests: list[Manifest]) -> tuple[StepFigures, ...]:
    steps: dict[str, list[Manifest]] = {}
    for one in manifests:
        steps.setdefault(one.step, []).append(one)
    found = [
        StepFigures(
            step=name,
            artifacts=len(made),
            seconds=sum(one.seconds for one in made),
            peak_memory_bytes=max(one.peak_memory_bytes for one in made),
            bytes_written=sum(size for one in made for _, size in one.files.values()),
            dollars=sum((one.dollars for one in made), Decimal(0)),
        )
        for name, made in steps.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.seconds))


def shortfalls(facts: Facts) -> list[str]:
    """What did not come out as hoped, each in one sentence with its numbers."""
    found = []
    for (before, after), change in facts.changes.items():
        if change.high < 0:
            found.append(f"{after} is worse than {before}: {percent(change, '+')} points.")
        elif change.low <= 0 and change.mean < 0.001:
            found.append(f"{after} is not better than {before}: {percent(change, '+')} points.")
    found += [
        f"{row.step} lost too much and was reverted: {row.note}." for row in facts.rows if row.verdict == "reverted"
    ]
    found += [
        f"Modifier {gain['modifier']} is not in the release: {gain['reason']}."
        for gain in facts.sources.gains
        if not gain["accepted"]
    ]
    if facts.release.routed_minus_base.low <= 0:
        found.append(
            "The routed system is not surely better than the base alone: "
            f"{percent(facts.release.routed_minus_base, '+')} points."
        )
    summary = facts.router["summary"]
    alone = facts.router["test"]["domain_alone"]
    if alone["quality"] >= summary["routed"] and alone["cost"] < summary["cost"]:
        straight = f"{100 * alone['quality']:.1f}% at {alone['cost']:.2f} times the base's tokens"
        routed = f"{100 * summary['routed']:.1f}% at {summary['cost']:.2f} times"
        found.append(
            "The confidence network does not pay here: every covered prompt straight to its modifier gives "
            f"{straight}, the router {routed}."
        )
    if summary["ece_after"] > summary["ece_before"]:
        found.append(
            f"Calibration did not help on the test questions: expected calibration error {summary['ece_before']:.3f} "
            f"before, {summary['ece_after']:.3f} after."
        )
    return found

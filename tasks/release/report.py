"""report.html: what a run made and what it is worth, on one self-contained page, shortfalls first.

Every number is read from the artifacts; nothing is measured here. Not here: the page's look (page.py), figures (plots.py).
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

from blocks import store
from blocks.lineage import ancestors
from blocks.records import Artifact, GateReport, Interval, Manifest, Record
from tasks.evaluation.evaluate import Summary, read_answers, read_summary
from tasks.evaluation.ledger import percent, read_ledger
from tasks.evaluation.plots import domains_plot, ledger_plot
from tasks.evaluation.statistics import paired_difference
from tasks.release import plots
from tasks.release.contents import describe
from tasks.release.page import figure, heading, page, paragraph, points, points_of, table, tiles
from tasks.step import step

READING = (
    "Exact match is over held-out questions whose parameters training never saw; brackets are 95% intervals. "
    "What is measured is real at this size and says nothing about a larger model."
)


class Sources(Record):
    """What the report reads. ``models``: evaluations of the student in the order it was made; ``curves``: artifacts with a
    curve.json; ``gains``: each modifier's gain report; ``gates``: those passed so far."""

    dataset: Artifact
    curves: dict[str, Artifact]
    models: dict[str, Artifact]
    ledger: Artifact
    gains: list[dict[str, Any]]
    router: Artifact
    release: Artifact
    gates: list[GateReport]


@step(version=3)
def report(sources: Sources, profile: str, overrides: list[str], resamples: int, seed: int) -> Artifact:
    """Write the page. ``resamples`` and ``seed`` are those of the bootstrap.

    Returns:
        Artifact of kind "report": report.html, and shortfalls.md with what fell short.
    """
    parents = [sources.dataset, *sources.curves.values(), *sources.models.values(), sources.ledger, sources.router, sources.release]
    facts = Facts(sources, resamples, seed)
    subtitle = f"profile {profile}" + (f", with {', '.join(overrides)}" if overrides else "") + f" · release {sources.release.digest[:12]}"
    with store.create("report", parents=parents, settings={"profile": profile, "overrides": overrides, "resamples": resamples, "seed": seed}) as folder:
        (folder.path / "report.html").write_text(page(describe(store.open(sources.release)).title, subtitle, _body(facts, parents)), encoding="utf-8")
        (folder.path / "shortfalls.md").write_text("".join(f"- {one}\n" for one in shortfalls(facts)) or "Nothing that the report looks for.\n", encoding="utf-8")
    return folder.artifact


class Facts:
    """The sources, read once."""

    def __init__(self, sources: Sources, resamples: int, seed: int) -> None:
        self.sources = sources
        self.summaries: dict[str, Summary] = {name: read_summary(one) for name, one in sources.models.items()}
        self.stats: dict[str, Any] = json.loads((store.open(sources.dataset) / "stats.json").read_text())
        self.router: dict[str, Any] = json.loads((store.open(sources.router) / "report.json").read_text())
        self.curves: dict[str, Any] = {name: json.loads((store.open(one) / "curve.json").read_text()) for name, one in sources.curves.items()}
        self.rows = read_ledger(sources.ledger)
        self.release = describe(store.open(sources.release))
        self.changes = {pair: self._change(*pair, resamples, seed) for pair in pairwise(sources.models)}

    def _change(self, before: str, after: str, resamples: int, seed: int) -> Interval:
        first, second = read_answers(self.sources.models[before]), read_answers(self.sources.models[after])
        return paired_difference([one.correct for one in first], [one.correct for one in second], resamples=resamples, seed=seed)


def shortfalls(facts: Facts) -> list[str]:
    """What did not come out as hoped, each in one sentence with its numbers."""
    found = []
    for (before, after), change in facts.changes.items():
        if change.high < 0:
            found.append(f"{after} is worse than {before}: {points_of(change)} points.")
        elif change.low <= 0 and change.mean < 0.001:
            found.append(f"{after} is not better than {before}: {points_of(change)} points.")
    found += [f"{row.step} lost too much and was reverted: {row.note}." for row in facts.rows if row.verdict == "reverted"]
    found += [f"Modifier {gain['modifier']} is not in the release: {gain['reason']}." for gain in facts.sources.gains if not gain["accepted"]]
    if facts.release.routed_minus_base.low <= 0:
        found.append(f"The routed system is not surely better than the base alone: {points_of(facts.release.routed_minus_base)} points.")
    summary = facts.router["summary"]
    alone = facts.router["test"]["domain_alone"]
    if alone["quality"] >= summary["routed"] and alone["cost"] < summary["cost"]:
        straight = f"{100 * alone['quality']:.1f}% at {alone['cost']:.2f} times the base's tokens"
        routed = f"{100 * summary['routed']:.1f}% at {summary['cost']:.2f} times"
        found.append(f"The confidence network does not pay here: every covered prompt straight to its modifier gives {straight}, the router {routed}.")
    if summary["ece_after"] > summary["ece_before"]:
        found.append(f"Calibration did not help on the test questions: expected calibration error {summary['ece_before']:.3f} before, {summary['ece_after']:.3f} after.")
    return found


def _body(facts: Facts, parents: list[Artifact]) -> Iterator[str]:
    manifests = ancestors(parents)
    yield from _summary(facts, manifests)
    yield from _models(facts)
    yield from _compression(facts)
    yield from _modifiers(facts)
    yield from _routing(facts)
    yield from _dataset(facts)
    yield heading("Training") + figure(plots.curves_plot(facts.curves))
    yield from _costs(manifests)


def _summary(facts: Facts, manifests: list[Manifest]) -> Iterator[str]:
    release = facts.release
    dollars = sum((one.dollars for one in manifests), Decimal(0))
    yield tiles(
        [
            (f"{release.parameters / 1e6:.2f} M" if release.parameters < 1e9 else f"{release.parameters / 1e9:.2f} B", "parameters"),
            (f"{facts.sources.release.bytes / 2**20:.2f} MiB", "release, modifiers and router included"),
            (f"{100 * release.exact_match_routed.mean:.1f} %", "exact match, routed"),
            (f"{100 * release.exact_match_base.mean:.1f} %", "exact match, base alone"),
            (f"${dollars:.2f}", "asked of teachers"),
            (f"{sum(one.seconds for one in manifests):.0f} s", "in steps"),
        ]
    )
    yield paragraph(READING, faint=True)
    yield heading("What fell short")
    found = shortfalls(facts)
    yield points(found) if found else paragraph("Nothing that the report looks for: every change was at least as good as the model before, and no modifier was rejected.")
    yield heading("Gates")
    checks = [(gate.gate, check) for gate in facts.sources.gates for check in gate.checks]
    yield table(["gate", "check", "value", "rule", "threshold"], [[gate, one.name, f"{one.value:.4g}", one.rule, f"{one.threshold:.4g}"] for gate, one in checks])


def _models(facts: Facts) -> Iterator[str]:
    yield heading("The student, step by step")
    yield figure(plots.ladder_plot({name: summary.exact_match for name, summary in facts.summaries.items()}))
    yield table(["from", "to", "paired difference, points"], [[before, after, points_of(change)] for (before, after), change in facts.changes.items()])
    first, *_, last = facts.summaries
    yield figure(domains_plot(facts.summaries[first].by_domain, facts.summaries[last].by_domain, (first, last), "Per domain"))


def _compression(facts: Facts) -> Iterator[str]:
    yield heading("Compression ledger") + figure(ledger_plot(facts.rows))
    yield table(
        ["step", "MB", "bits/parameter", "perplexity", "exact match %", "tokens/s", "difference, points", "verdict", "note"],
        [
            [row.step, f"{row.bytes / 1e6:.2f}", f"{row.bits_per_parameter:.2f}", f"{row.perplexity:.3f}", percent(row.exact_match), f"{row.tokens_per_second:.0f}",
             points_of(row.difference) if row.difference else "", row.verdict, row.note]
            for row in facts.rows
        ],
    )  # fmt: skip


def _modifiers(facts: Facts) -> Iterator[str]:
    yield heading("Modifiers")
    rows = []
    for gain in facts.sources.gains:
        inside, elsewhere = Interval.model_validate(gain["inside"]), gain["elsewhere"] and Interval.model_validate(gain["elsewhere"])
        shares = f"{100 * gain['inside_base']:.1f} → {100 * gain['inside_modifier']:.1f}"
        rows.append([gain["modifier"], ", ".join(gain["domains"]), shares, points_of(inside), points_of(elsewhere) if elsewhere else "", gain["reason"]])
    yield table(["modifier", "domains", "exact match %", "gain there, points", "change elsewhere, points", "verdict"], rows)


def _routing(facts: Facts) -> Iterator[str]:
    summary, test = facts.router["summary"], facts.router["test"]
    yield heading("Router")
    yield figure(plots.cost_plot(test, summary["cost"], summary["routed"]))
    if "reliability" in facts.router:
        yield figure(plots.reliability_plot(facts.router["reliability"]["before"], facts.router["reliability"]["after"]))
    names = {
        "threshold": "threshold of confidence", "base": "exact match, base alone", "routed": "exact match, routed", "oracle": "exact match, oracle routing",
        "share_routed": "share answered by a modifier", "cost": "tokens, times the base's", "recall_base_wrong": "recall of questions the base gets wrong",
        "recall_mendable": "recall of questions a modifier mends", "domain_accuracy": "accuracy of the domain classifier", "ece_before": "calibration error before",
        "ece_after": "calibration error after", "brier_before": "Brier score before", "brier_after": "Brier score after", "auroc": "AUROC of confidence",
    }  # fmt: skip
    yield table(["measure, on the test questions", "value"], [[label, "" if summary[key] is None else f"{summary[key]:.3f}"] for key, label in names.items()])
    yield paragraph(f"Threshold: {facts.router['choice']['reason']}. Routed minus base: {points_of(Interval.model_validate(summary['difference']))} points.")


def _dataset(facts: Facts) -> Iterator[str]:
    stats = facts.stats
    yield heading("Dataset") + figure(plots.composition_plot(stats["composition"]))
    rows = stats["rows"]
    dollars = stats["dollars"]
    paid = f"${Decimal(dollars['total']):.2f} for all teacher calls"
    yield paragraph(f"{rows['train']} training and {rows['validation']} validation examples, mean score {stats['quality']['mean']:.2f} of 10, {paid}.")
    yield table(["stage", "kept", "rejected", "dollars"], [_stage(name, numbers, dollars["by_stage"]) for name, numbers in stats["stages"].items()])
    yield table(["teacher", "licence", "examples"], [[row["teacher_model"], row["license"], row["rows"]] for row in stats["teachers"]])


def _stage(name: str, numbers: dict[str, Any], dollars: dict[str, str]) -> list[object]:
    rejected = ", ".join(f"{key.removeprefix('rejected_')} {value}" for key, value in numbers.items() if key.startswith("rejected_"))
    return [name, numbers.get("kept", numbers.get("questions", "")), rejected, f"{Decimal(dollars.get(name, '0')):.4f}"]


def _costs(manifests: list[Manifest]) -> Iterator[str]:
    yield heading("Time, memory and money per step")
    yield paragraph("What each step took when it ran; steps taken from the cache are listed with what they took then.", faint=True)
    steps: dict[str, list[Manifest]] = {}
    for one in manifests:
        steps.setdefault(one.step, []).append(one)
    slowest_first = sorted(steps.items(), key=lambda item: -sum(one.seconds for one in item[1]))
    yield table(["step", "artifacts", "seconds", "peak MiB", "MiB written", "dollars"], [_cost(name, made) for name, made in slowest_first])


def _cost(name: str, made: list[Manifest]) -> list[object]:
    dollars = sum((one.dollars for one in made), Decimal(0))
    written = sum(size for one in made for _, size in one.files.values())
    peak = max(one.peak_memory_bytes for one in made)
    seconds = sum(one.seconds for one in made)
    return [name, len(made), f"{seconds:.1f}", f"{peak / 2**20:.0f}", f"{written / 2**20:.2f}", f"{dollars:.4f}" if dollars else ""]

"""report.html: what a run made and what it is worth, on one self-contained page, shortfalls first.

Not here: its numbers (figures.py), the page's look (page.py), what is drawn (plots.py).
"""

from collections.abc import Iterator

from blocks import store
from blocks.journal.lineage import ancestors
from blocks.records import Artifact
from tasks.evaluation.ledger import percent
from tasks.evaluation.plots import domains_plot, ledger_plot
from tasks.release import plots
from tasks.release.contents import PACKED
from tasks.release.figures import FILE, Facts, Figures, RouterFigures, Sources, StageFigures, StepFigures, gather
from tasks.release.page import figure, heading, page, paragraph, points, points_of, table, tiles
from tasks.step import step

READING = (
    "Exact match is over held-out questions whose parameters training never saw; brackets are 95% intervals. "
    "What is measured is real at this size and says nothing about a larger model. "
    "Rehearsal teachers are counted at their price and cost nothing."
)


@step(version=6)  # 6: which bytes ship, and which engine answered
def report(sources: Sources, profile: str, overrides: list[str], resamples: int, seed: int) -> Artifact:
    """Write the page. ``resamples`` and ``seed`` are those of the bootstrap.

    Returns:
        Artifact of kind "report": report.html, figures.json with its numbers, and shortfalls.md with what fell short.
    """
    parents = [
        sources.dataset,
        *sources.curves.values(),
        *sources.models.values(),
        sources.ledger,
        sources.router,
        sources.release,
    ]
    figures = gather(Facts(sources, resamples, seed), ancestors(parents), profile, overrides)
    subtitle = (
        f"profile {profile}"
        + (f", with {', '.join(overrides)}" if overrides else "")
        + f" · release {sources.release.digest[:12]}"
    )
    with store.create(
        "report",
        parents=parents,
        settings={"profile": profile, "overrides": overrides, "resamples": resamples, "seed": seed},
    ) as folder:
        (folder.path / "report.html").write_text(page(figures.title, subtitle, _body(figures)), encoding="utf-8")
        (folder.path / FILE).write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder.path / "shortfalls.md").write_text(
            "".join(f"- {one}\n" for one in figures.shortfalls) or "Nothing that the report looks for.\n",
            encoding="utf-8",
        )
    return folder.artifact


def _body(figures: Figures) -> Iterator[str]:
    yield from _summary(figures)
    yield from _models(figures)
    yield from _compression(figures)
    yield from _modifiers(figures)
    yield from _routing(figures)
    yield from _dataset(figures)
    yield heading("Training") + figure(plots.curves_plot(figures.training))
    yield from _costs(figures)


def _summary(figures: Figures) -> Iterator[str]:
    yield tiles(
        [
            (
                f"{figures.parameters / 1e6:.2f} M"
                if figures.parameters < 1e9
                else f"{figures.parameters / 1e9:.2f} B",
                "parameters",
            ),
            (f"{figures.release_bytes / 2**20:.2f} MiB", "release, modifiers and router included"),
            (f"{100 * figures.exact_match_routed.mean:.1f} %", "exact match, routed"),
            (f"{100 * figures.exact_match_base.mean:.1f} %", "exact match, base alone"),
            (f"${figures.dollars:.2f}", "asked of teachers"),
            (f"{figures.seconds:.0f} s", "in steps"),
        ]
    )
    yield paragraph(READING, faint=True)
    if figures.engine is not None:
        form = "packed with zstd, and is unpacked where it answers" if figures.base == PACKED else "as a GGUF file"
        yield paragraph(
            f"The model ships {form}; the size gates weigh the files that ship. It was measured with "
            f"{figures.engine.named} and answers with the same."
        )
    yield heading("What fell short")
    none = (
        "Nothing that the report looks for: every change was at least as good as the model before, and no modifier "
        "was rejected."
    )
    yield points(figures.shortfalls) if figures.shortfalls else paragraph(none)
    yield heading("Gates")
    rows = [[one.gate, one.check, f"{one.value:.4g}", one.rule, f"{one.threshold:.4g}"] for one in figures.gates]
    yield table(["gate", "check", "value", "rule", "threshold"], rows)


def _models(figures: Figures) -> Iterator[str]:
    yield heading("The student, step by step")
    yield figure(plots.ladder_plot({name: summary.exact_match for name, summary in figures.models.items()}))
    yield table(
        ["from", "to", "paired difference, points"],
        [[one.before, one.after, points_of(one.difference)] for one in figures.changes],
    )
    first, *_, last = figures.models
    yield figure(
        domains_plot(figures.models[first].by_domain, figures.models[last].by_domain, (first, last), "Per domain")
    )


def _compression(figures: Figures) -> Iterator[str]:
    yield heading("Compression ledger") + figure(ledger_plot(list(figures.ledger)))
    yield table(
        ["step", "MB", "bits/parameter", "perplexity", "exact match %", "tokens/s", "difference, points", "verdict"],
        [
            [row.step, f"{row.bytes / 1e6:.2f}", f"{row.bits_per_parameter:.2f}", f"{row.perplexity:.3f}",
            percent(row.exact_match), f"{row.tokens_per_second:.0f}",
             points_of(row.difference) if row.difference else "",
             f"{row.verdict}: {row.note}" if row.note else row.verdict]
            for row in figures.ledger
        ],
    )  # fmt: skip


def _modifiers(figures: Figures) -> Iterator[str]:
    yield heading("Modifiers")
    rows = []
    for one in figures.modifiers:
        shares = f"{100 * one.inside_base:.1f} → {100 * one.inside_modifier:.1f}"
        elsewhere = points_of(one.elsewhere) if one.elsewhere else ""
        rows.append(
            [
                one.modifier,
                ", ".join(one.domains),
                shares,
                points_of(one.inside),
                elsewhere,
                "accepted" if one.accepted else one.reason,
            ]
        )
    yield table(
        ["modifier", "domains", "exact match %", "gain there, points", "change elsewhere, points", "verdict"], rows
    )


def _routing(figures: Figures) -> Iterator[str]:
    router = figures.router
    yield heading("Router")
    yield figure(plots.cost_plot(router.test, router.cost, router.routed))
    if router.reliability is not None:
        yield figure(plots.reliability_plot(router.reliability["before"], router.reliability["after"]))
    names = {
        "threshold": "threshold of confidence", "base": "exact match, base alone", "routed": "exact match, routed",
        "oracle": "exact match, oracle routing",
        "share_routed": "share answered by a modifier", "cost": "tokens, times the base's",
        "recall_base_wrong": "recall of questions the base gets wrong",
        "recall_mendable": "recall of questions a modifier mends",
        "domain_accuracy": "accuracy of the domain classifier",
        "ece_before": "calibration error before",
        "ece_after": "calibration error after", "brier_before": "Brier score before",
        "brier_after": "Brier score after",
        "auroc": "AUROC of confidence",
    }  # fmt: skip
    yield table(
        ["measure, on the test questions", "value"], [[label, _measure(router, key)] for key, label in names.items()]
    )
    yield paragraph(f"Threshold: {router.reason}. Routed minus base: {points_of(router.difference)} points.")


def _measure(router: RouterFigures, name: str) -> str:
    value = getattr(router, name)
    return "" if value is None else f"{value:.3f}"


def _dataset(figures: Figures) -> Iterator[str]:
    data = figures.dataset
    yield heading("Dataset") + figure(plots.composition_plot(data.composition))
    paid = f"${data.dollars:.2f} for all teacher calls"
    yield paragraph(
        f"{data.train} training and {data.validation} validation examples, mean score {data.mean_score:.2f} of 10, "
        f"{paid}."
    )
    yield table(["stage", "kept", "rejected", "dollars"], [_stage(one) for one in data.stages])
    yield table(["teacher", "licence", "examples"], [[one.teacher, one.license, one.examples] for one in data.teachers])


def _stage(one: StageFigures) -> list[object]:
    rejected = ", ".join(f"{reason} {count}" for reason, count in one.rejected.items())
    return [one.stage, "" if one.kept is None else one.kept, rejected, f"{one.dollars:.4f}"]


def _costs(figures: Figures) -> Iterator[str]:
    yield heading("Time, memory and money per step")
    yield paragraph(
        "What each step took when it ran; steps taken from the cache are listed with what they took then.", faint=True
    )
    yield table(
        ["step", "artifacts", "seconds", "peak MiB", "MiB written", "dollars"], [_cost(one) for one in figures.steps]
    )


def _cost(one: StepFigures) -> list[object]:
    peak, written = f"{one.peak_memory_bytes / 2**20:.0f}", f"{one.bytes_written / 2**20:.2f}"
    return [one.step, one.artifacts, f"{one.seconds:.1f}", peak, written, f"{one.dollars:.4f}" if one.dollars else ""]

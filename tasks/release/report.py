"""report.html: what a run made and what it is worth, on one self-contained page, shortfalls first.

Not here: its numbers (figures.py), the page's look and text (templates/), what is drawn (plots.py).
"""

from blocks import store
from blocks.journal.lineage import ancestors
from blocks.records import Artifact
from tasks.evaluation.plots import domains_plot, ledger_plot
from tasks.release import plots
from tasks.release.figures import FILE, Facts, Figures, Sources, gather
from tasks.release.page import figure, page
from tasks.step import step


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
        (folder.path / "report.html").write_text(
            page("report.html", figures.title, subtitle, figures=figures, plots=_plots(figures)), encoding="utf-8"
        )
        (folder.path / FILE).write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (folder.path / "shortfalls.md").write_text(
            "".join(f"- {one}\n" for one in figures.shortfalls) or "Nothing that the report looks for.\n",
            encoding="utf-8",
        )
    return folder.artifact


def _plots(figures: Figures) -> dict[str, str]:
    """The figures of the page, by where it shows them."""
    first, *_, last = figures.models
    models, router = figures.models, figures.router
    drawn = {
        "ladder": plots.ladder_plot({name: summary.exact_match for name, summary in figures.models.items()}),
        "domains": domains_plot(models[first].by_domain, models[last].by_domain, (first, last), "Per domain"),
        "ledger": ledger_plot(list(figures.ledger)),
        "cost": plots.cost_plot(router.test, router.cost, router.routed),
        "composition": plots.composition_plot(figures.dataset.composition),
        "curves": plots.curves_plot(figures.training),
    }
    if router.reliability is not None:
        drawn["reliability"] = plots.reliability_plot(router.reliability["before"], router.reliability["after"])
    return {name: figure(svg) for name, svg in drawn.items()}

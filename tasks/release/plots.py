"""The report's own figures as SVG text: the ladder of models, loss curves, dataset composition, router calibration and
cost.

Not here: the ledger's and the domains' figures (tasks/evaluation/plots.py), the page around them (report.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.records import Interval
from tasks.evaluation.plots import BLUE, GREY, ORANGE, new_figure, style, svg


def ladder_plot(models: Mapping[str, Interval]) -> str:
    """Exact match of each model in order, with 95% intervals."""
    with style():
        figure, axes = new_figure(7.2, 0.42 * len(models) + 1.0)
        for number, interval in enumerate(models.values()):
            axes.plot([100 * interval.low, 100 * interval.high], [number, number], color=BLUE, linewidth=2)
            axes.plot([100 * interval.mean], [number], "o", color=BLUE)
            axes.annotate(
                f"{100 * interval.mean:.1f}",
                (100 * interval.mean, number),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(models)), list(models))
        axes.set_ylim(len(models) - 0.5, -0.7)
        axes.set_xlim(0, 100)
        axes.set_xlabel("exact match on held-out questions, %, 95% interval")
        return svg(figure)


def curves_plot(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Training (solid) and validation loss (dashed) over tokens, one panel per training; points as in curve.json."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 2.4), layout="constrained")
        panels = figure.subplots(1, len(curves), squeeze=False)[0]
        for axes, (name, points) in zip(panels, curves.items(), strict=True):
            tokens = [point["tokens"] / 1e3 for point in points]
            axes.plot(tokens, [point["loss"] for point in points], color=BLUE, label="training")
            held_out = [
                (x, point["validation_loss"])
                for x, point in zip(tokens, points, strict=True)
                if point.get("validation_loss") is not None
            ]
            axes.plot(
                *zip(*held_out, strict=True), color=ORANGE, linestyle="--", label="validation"
            ) if held_out else None
            axes.set_title(name, fontsize=9)
            axes.set_xlabel("thousand tokens")
        panels[0].set_ylabel("loss, nats per token")
        panels[0].legend(frameon=False, fontsize=8)
        return svg(figure)


def composition_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Examples per domain, easy and hard; rows as in the dataset's stats.json."""
    with style():
        domains = list(dict.fromkeys(row["domain"] for row in rows))
        figure, axes = new_figure(7.2, 0.3 * len(domains) + 1.0)
        left = dict.fromkeys(domains, 0)
        for difficulty, colour in (("easy", BLUE), ("hard", ORANGE)):
            counts = {row["domain"]: row["rows"] for row in rows if row["difficulty"] == difficulty}
            axes.barh(
                domains,
                [counts.get(domain, 0) for domain in domains],
                left=[left[domain] for domain in domains],
                color=colour,
                label=difficulty,
            )
            left = {domain: left[domain] + counts.get(domain, 0) for domain in domains}
        axes.invert_yaxis()
        axes.set_xlabel("examples")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        return svg(figure)


def cost_plot(test: Mapping[str, Any], cost: float, quality: float) -> str:
    """Cost (tokens, base alone = 1) against exact match: the router at every threshold and the chosen one, random,
    oracle. ``test`` as in the router's report.json."""
    with style():
        figure, axes = new_figure(7.2, 3.2)
        for points, colour, line, name in (
            (test["curve"], BLUE, "-", "router, every threshold"),
            (test["random"], GREY, ":", "random"),
            (test["oracle"], ORANGE, "--", "oracle"),
        ):
            axes.plot(
                [point["cost"] for point in points],
                [100 * point["quality"] for point in points],
                color=colour,
                linestyle=line,
                label=name,
            )
        axes.plot([cost], [100 * quality], "o", color=BLUE, label="chosen threshold")
        axes.plot(
            [test["domain_alone"]["cost"]],
            [100 * test["domain_alone"]["quality"]],
            "s",
            color=GREY,
            label="modifier by domain alone",
        )
        axes.set_xlabel("tokens, times those of the base alone")
        axes.set_ylabel("exact match, %")
        axes.legend(frameon=False, fontsize=8)
        return svg(figure)


def reliability_plot(before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]) -> str:
    """Mean confidence of each bin against the share that was right, before and after calibration."""
    with style():
        figure, axes = new_figure(3.6, 3.2)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
        for bins, colour, name in ((before, GREY, "before"), (after, BLUE, "after calibration")):
            axes.plot(
                [one["confidence"] for one in bins],
                [one["right"] for one in bins],
                "o-",
                color=colour,
                label=name,
                markersize=3,
                linewidth=1,
            )
        axes.set_xlabel("confidence")
        axes.set_ylabel("share right")
        axes.legend(frameon=False, fontsize=8)
        return svg(figure)

"""Figures of the report as SVG text: what each step cost in size and right answers, and what a change did per domain.

The same records give the same text on every run. Not here: the report around them (tasks/release).
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blocks.records import Interval, LedgerRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2f6f9f", "#c8641b", "#777777"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "cogumi",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def ledger_plot(rows: Sequence[LedgerRow]) -> str:
    """Steps from top to bottom: megabytes as bars on a log scale, exact match with its interval beside them; reverted
    steps hollow."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 0.32 * len(rows) + 1.1), layout="constrained")
        sizes, shares = figure.subplots(1, 2, sharey=True)
        for number, row in enumerate(rows):
            megabytes, reverted = row.bytes / 1e6, row.verdict == "reverted"
            colour = ORANGE if reverted else BLUE
            sizes.barh(number, megabytes, height=0.6, facecolor="white" if reverted else colour, edgecolor=colour)
            sizes.annotate(
                f"{megabytes:.3g}",
                (megabytes, number),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
            shares.errorbar(
                100 * row.exact_match.mean,
                number,
                xerr=_bars(row.exact_match),
                fmt="o",
                color=colour,
                markerfacecolor="white" if reverted else colour,
                capsize=2,
                linewidth=1,
                markersize=5,
            )
        sizes.set_yticks(
            range(len(rows)), [f"{row.step} (reverted)" if row.verdict == "reverted" else row.step for row in rows]
        )
        sizes.invert_yaxis()
        smallest, largest = min(row.bytes for row in rows) / 1e6, max(row.bytes for row in rows) / 1e6
        sizes.set_xscale("log")
        sizes.set_xlim(smallest / 2, largest * 2)
        sizes.xaxis.set_major_formatter("{x:g}")
        sizes.xaxis.set_minor_formatter("")
        sizes.set_xlabel("weights, megabytes (log scale)")
        shares.set_xlabel("exact match, %, 95% interval")
        figure.suptitle(f"{rows[0].exact_match.n} held-out questions after every step", fontsize=10)
        return svg(figure)


def domains_plot(
    before: Mapping[str, Interval], after: Mapping[str, Interval], names: tuple[str, str], title: str
) -> str:
    """Exact match per domain with intervals, before and after a change; ``names`` label the two."""
    with style():
        domains = [domain for domain in before if domain in after]
        figure, axes = new_figure(7.2, 0.42 * len(domains) + 1.4)
        for shares, name, colour, shift in ((before, names[0], GREY, -0.14), (after, names[1], BLUE, 0.14)):
            for number, domain in enumerate(domains):
                interval = shares[domain]
                axes.errorbar(
                    100 * interval.mean,
                    number + shift,
                    xerr=_bars(interval),
                    fmt="o",
                    color=colour,
                    capsize=2,
                    linewidth=1,
                    markersize=4,
                    label="" if number else name,
                )
        axes.set_yticks(range(len(domains)), [domain.replace("_", " ") for domain in domains])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("exact match, %, 95% interval")
        axes.legend(frameon=False, fontsize=8)
        axes.set_title(title, fontsize=10)
        return svg(figure)


def _bars(interval: Interval) -> list[list[float]]:
    """Lengths below and above the mean, in percent."""
    return [[100 * max(0.0, interval.mean - interval.low)], [100 * max(0.0, interval.high - interval.mean)]]


def style() -> Any:
    """The look of every figure, as a context."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def new_figure(width: float, height: float) -> "tuple[Figure, Any]":
    """A figure of its own (inches), without pyplot's global state, so that no display is needed and threads do not
    mix."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def svg(figure: "Figure") -> str:
    """The figure as SVG text without dates, so that equal figures are equal texts."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()

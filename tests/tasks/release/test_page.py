"""The pages of reports: text is escaped, figures are not, columns of numbers stand right."""

import pytest
from jinja2 import UndefinedError

from blocks.records import Interval
from tasks.release.page import figure, page

SURE = {"mean": 0.031, "low": 0.01, "high": 0.052, "n": 10}
NIGHT = {
    "current": "0123456789abcdef",
    "why": "<b>better & cheaper</b>",
    "comparison": {"affected": SURE, "overall": SURE, "by_domain": {"coding": SURE}, "before": {"coding": 0.5},
                   "after": {"coding": 0.531}},
    "clusters": [{"source": "served", "domain": "coding", "judged": 40, "failure": SURE, "failure_at_release": None,
                  "why": "moved: wrong more often than it was at release"}],
    "gains": [],
    "costs": [{"step": "sft", "artifacts": 1, "seconds": 2.04, "dollars": "0.5"}],
}  # fmt: skip


def test_a_night_is_told_with_its_figures_and_its_text_is_escaped() -> None:
    told = page("change.html", "<T>", "s & t", night=NIGHT, routed=Interval(mean=0.6423, low=0, high=1, n=10))
    assert "<title>&lt;T&gt;</title>" in told
    assert "from release 0123456789ab: &lt;b&gt;better &amp; cheaper&lt;/b&gt;" in told
    assert "<td>coding</td><td class=n>50.0</td><td class=n>53.1</td><td class=n>+3.1 [+1.0, +5.2]</td>" in told
    assert "<td class=n>3</td><td class=n></td><td class=long>moved: wrong more" in told
    assert "<b>64.2 %</b>" in told
    assert "<td>sft</td><td class=n>1</td><td class=n>2.0</td><td class=n>0.5</td>" in told


def test_what_a_page_lacks_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(UndefinedError, match="why"):
        page("change.html", "T", "s", night={name: value for name, value in NIGHT.items() if name != "why"},
             routed=Interval(mean=0.6, low=0, high=1, n=10))  # fmt: skip


def test_a_figure_stands_as_it_was_drawn() -> None:
    assert figure('<?xml version="1.0"?>\n<svg a="1"></svg>') == '<svg a="1"></svg>'

"""What a modifier and the router are found to be worth: made by the phases that judge them, shown by the release's
report.

Not here: the judging (tasks/modifiers/gain.py, tasks/routing/assemble.py), and the report (tasks/release/figures.py).
"""

from blocks.records import Interval, Record


class Gain(Record):
    """Exact match with the modifier minus without, paired, with 95% intervals: in its domains (``inside``), elsewhere,
    by domain."""

    modifier: str
    domains: tuple[str, ...]
    inside_base: float
    inside_modifier: float
    inside: Interval
    elsewhere_base: float
    elsewhere_modifier: float
    elsewhere: Interval | None
    by_domain: dict[str, Interval]
    accepted: bool
    reason: str


class Routed(Record):
    """The router on the test questions: shares of right answers, calibration errors; None where nothing of the kind
    occurred. ``difference``: routed minus base exact match, paired; ``cost``: tokens over those of the base alone."""

    threshold: float
    base: float
    routed: float
    oracle: float
    difference: Interval
    share_routed: float
    cost: float
    recall_base_wrong: float | None
    recall_mendable: float | None
    domain_accuracy: float
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float
    auroc: float | None

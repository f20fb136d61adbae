"""The modifiers in Prefect's UI: what each gains where, and why it is released or not. Not here: the rule (gain.py)."""

from blocks.prefect.pages import leave_table
from blocks.verdicts import Gain
from tasks.evaluation.ledger import percent
from tasks.step import step


@step(version=1, cache=False)
def show_modifiers(gains: list[Gain]) -> None:
    """Leave the artifact ``modifiers``."""
    rows = [
        {
            "modifier": one.modifier,
            "domains": ", ".join(one.domains),
            "exact match %": f"{100 * one.inside_base:.1f} → {100 * one.inside_modifier:.1f}",
            "gain, points": percent(one.inside, sign="+"),
            "elsewhere, points": percent(one.elsewhere, sign="+") if one.elsewhere else "",
            "verdict": "released" if one.accepted else one.reason,
        }
        for one in gains
    ]
    accepted = [one.modifier for one in gains if one.accepted]
    leave_table(
        "modifiers",
        rows,
        f"In the release: {', '.join(accepted) or 'none'}; gains are paired, with 95% intervals, on held-out "
        "calibration questions",
    )

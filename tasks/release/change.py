"""report.html of a release that a night made: what changed against the release before, and why it was promoted.

Every number is read from the night's account. Not here: the report of a whole run (report.py), the decision
(flows/nightly.py).
"""

import json
from typing import Any

from blocks import store
from blocks.records import Artifact, Interval
from tasks.evaluation.ledger import percent
from tasks.release.contents import describe
from tasks.release.page import heading, page, paragraph, table, tiles
from tasks.step import step


@step(version=1)
def change_report(release: Artifact, account: Artifact) -> Artifact:
    """Write the page on ``release`` from the night's ``account`` (kind "nightly").

    Returns:
        Artifact of kind "report": report.html.
    """
    night: dict[str, Any] = json.loads((store.open(account) / "nightly.json").read_text(encoding="utf-8"))
    described, found = describe(store.open(release)), night["comparison"]
    affected, overall = (Interval.model_validate(found[name]) for name in ("affected", "overall"))
    clusters = [
        [
            one["source"],
            one["domain"],
            one["judged"],
            f"{100 * one['failure']['mean']:.0f}",
            "" if one["failure_at_release"] is None else f"{100 * one['failure_at_release']:.0f}",
            one["why"],
        ]
        for one in night["clusters"]
    ]
    changes = [
        [
            domain,
            f"{100 * found['before'][domain]:.1f}",
            f"{100 * found['after'][domain]:.1f}",
            percent(Interval.model_validate(change), "+"),
        ]
        for domain, change in found["by_domain"].items()
    ]
    body = [
        tiles(
            [
                (percent(affected, "+"), "points on the affected domains"),
                (percent(overall, "+"), "points over all domains"),
                (f"{100 * described.exact_match_routed.mean:.1f} %", "exact match, routed"),
            ]
        ),
        paragraph(f"Made by a night from release {night['current'][:12]}: {night['why']}"),
        heading("Against the release before, on held-out questions that were new that night"),
        table(["domain", "before, %", "now, %", "paired difference, points"], changes),
        heading("What had moved"),
        table(["source", "domain", "judged", "wrong, %", "at release, %", "decision"], clusters),
        heading("Retrained"),
        table(
            ["modifier", "gain over the base, points", "verdict"],
            [
                [one["modifier"], percent(Interval.model_validate(one["inside"]), "+"), one["reason"]]
                for one in night["gains"]
            ],
        ),
        heading("Time and money per step"),
        table(
            ["step", "artifacts", "seconds", "dollars"],
            [[one["step"], one["artifacts"], f"{one['seconds']:.1f}", one["dollars"]] for one in night["costs"]],
        ),
    ]
    with store.create("report", parents=[release, account]) as folder:
        (folder.path / "report.html").write_text(
            page(described.title, f"profile {described.profile} · release {release.digest[:12]}", body),
            encoding="utf-8",
        )
    return folder.artifact

"""report.html of a release that a night made: what changed against the release before, and why it was promoted.

Every number is read from the night's account. Not here: the report of a whole run (report.py), the decision
(flows/nightly.py).
"""

import json
from typing import Any

from blocks import store
from blocks.records import Artifact
from tasks.release.contents import describe
from tasks.release.page import page
from tasks.step import step


@step(version=1)
def change_report(release: Artifact, account: Artifact) -> Artifact:
    """Write the page on ``release`` from the night's ``account`` (kind "nightly").

    Returns:
        Artifact of kind "report": report.html.
    """
    night: dict[str, Any] = json.loads((store.open(account) / "nightly.json").read_text(encoding="utf-8"))
    described = describe(store.open(release))
    subtitle = f"profile {described.profile} · release {release.digest[:12]}"
    with store.create("report", parents=[release, account]) as folder:
        (folder.path / "report.html").write_text(
            page("change.html", described.title, subtitle, night=night, routed=described.exact_match_routed),
            encoding="utf-8",
        )
    return folder.artifact

"""The release in Prefect's UI, its report, and the pointer to it.

Runs every time, also when everything came from the cache: each run shows its own. Not here: the HTML report (report.py), what the other
phases show (tasks/*/show.py).
"""

from blocks import store
from blocks.pages import leave_link, leave_text
from blocks.records import Artifact
from configs.phases.release import Release
from tasks.release.current import promote
from tasks.step import step


@step(version=1, cache=False)
def publish(release: Artifact, report: Artifact, settings: Release) -> None:
    """Show the release and its report in the UI and make it the current one."""
    leave_text("release", (store.open(release) / "README.md").read_text(), release.uri)
    leave_link("report", f"file://{report.uri}/report.html" if "://" not in report.uri else f"{report.uri}/report.html", "report.html")
    promote(release, report, settings.keep)

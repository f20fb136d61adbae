"""The release in Prefect's UI, its report, and the pointer to it.

Runs every time, also when everything came from the cache: each run shows its own. Not here: the HTML report
(report.py), what the other phases show (tasks/*/show.py).
"""

from blocks import store
from blocks.prefect.pages import leave_text
from blocks.records import Artifact
from configs.phases.release import Release
from tasks.release.current import promote
from tasks.step import step


@step(version=1, cache=False)
def publish(release: Artifact, report: Artifact, settings: Release) -> None:
    """Show the release and its report in the UI and make it the current one."""
    leave_text("release", (store.open(release) / "README.md").read_text(), store.here(release).uri)
    # A browser opens no file from a page of the server, so the place is told instead of linked.
    place = f"`{store.here(report).uri}/report.html` (here: `cogumi report {release.short.split('-')[-1]}`)"
    leave_text(
        "report",
        f"## What fell short\n\n{(store.open(report) / 'shortfalls.md').read_text()}\n## The whole report\n\n{place}\n",
        "What fell short, and where the whole report is",
    )
    promote(release, report, settings.keep)

"""Prefect artifacts of a run: ledger, models, dataset, router and release as tables in the UI; and the pointer to the release.

Runs every time, also when everything came from the cache: each run shows its own. Not here: the HTML report (report.py).
"""

import json
from typing import Any

from blocks import store
from blocks.records import Artifact, Interval
from configs.phases.release import Release
from tasks.evaluation.evaluate import read_summary
from tasks.evaluation.ledger import percent, read_ledger
from tasks.release.current import promote
from tasks.release.report import Sources
from tasks.step import step


@step(version=1, cache=False)
def publish(sources: Sources, report: Artifact, settings: Release) -> None:
    """Show the run's results in the UI and make its release the current one."""
    from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

    stats: dict[str, Any] = json.loads((store.open(sources.dataset) / "stats.json").read_text())
    router: dict[str, Any] = json.loads((store.open(sources.router) / "report.json").read_text())
    models = [{"model": name, "exact match %": percent(read_summary(one).exact_match)} for name, one in sources.models.items()]
    create_table_artifact(key="models", table=models, description="Exact match on the held-out questions, 95% intervals, in the order they were made")
    rows = [
        {"step": row.step, "MB": round(row.bytes / 1e6, 3), "bits/parameter": round(row.bits_per_parameter, 2), "perplexity": round(row.perplexity, 3),
         "exact match %": percent(row.exact_match), "difference": percent(row.difference, sign="+") if row.difference else "", "verdict": row.verdict, "note": row.note}
        for row in read_ledger(sources.ledger)
    ]  # fmt: skip
    create_table_artifact(key="ledger", table=rows, description="The same evaluation after every step that changed the model")
    create_table_artifact(key="dataset", table=stats["composition"], description=f"{sum(stats['rows'].values())} examples; {stats['dollars']['total']} dollars of teacher calls")
    gains = [{"modifier": gain["modifier"], "gain, points": percent(Interval.model_validate(gain["inside"]), sign="+"), "verdict": gain["reason"]} for gain in sources.gains]
    create_table_artifact(key="modifiers", table=gains, description="What each modifier gains in its own domains, paired, 95% intervals")
    create_table_artifact(key="router", table=[{"measure": key, "value": str(value)} for key, value in router["summary"].items()], description="The router on the test questions")
    create_markdown_artifact(key="release", markdown=(store.open(sources.release) / "README.md").read_text(), description=sources.release.uri)
    create_link_artifact(key="report", link=f"file://{report.uri}/report.html" if "://" not in report.uri else f"{report.uri}/report.html", link_text="report.html")
    promote(sources.release, report, settings.keep)

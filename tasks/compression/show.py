"""The compression in Prefect's UI: the ledger. Not here: the verdicts in it (tasks/evaluation/ledger.py)."""

from blocks.prefect.pages import leave_table
from blocks.records import Artifact
from tasks.evaluation.ledger import percent, read_ledger
from tasks.step import step


@step(version=1, cache=False)
def show_compression(ledger: Artifact) -> None:
    """Leave the artifact ``ledger``."""
    rows = read_ledger(ledger)
    shown = [
        {
            "step": row.step,
            "MB": round(row.bytes / 1e6, 3),
            "bits/parameter": round(row.bits_per_parameter, 2),
            "perplexity": round(row.perplexity, 3),
            "exact match %": percent(row.exact_match),
            "difference": percent(row.difference, sign="+") if row.difference else "",
            "verdict": row.verdict,
            "note": row.note,
        }
        for row in rows
    ]
    reverted = sum(row.verdict == "reverted" for row in rows)
    leave_table(
        "ledger",
        shown,
        f"The same {rows[0].exact_match.n} questions after every step that changed the model; {reverted} reverted",
    )

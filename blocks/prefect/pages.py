"""What a phase leaves in Prefect's UI: one keyed artifact each, with what it decided. The key's timeline shows run
after run.

Outside a run nothing is left; a page that cannot be left stops nothing. Not here: what a page says (tasks/*/show.py),
the teachers' page (teachers/reporting/page.py).
"""

import logging
from collections.abc import Sequence
from typing import Any

from blocks.own_loop import apart

log = logging.getLogger("cogumi.pages")


def leave_table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Leave a table; ``rows`` map column titles to cells."""
    _leave("table", key, description, table=list(rows))


def leave_text(key: str, markdown: str, description: str) -> None:
    """Leave a Markdown page."""
    _leave("markdown", key, description, markdown=markdown)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return (
        "\n".join([*lines, *("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)])
        + "\n"
    )


def in_a_run() -> bool:
    """Whether there is a run to leave a page in."""
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _leave(kind: str, key: str, description: str, **content: Any) -> None:
    if not in_a_run():
        return
    from prefect import artifacts

    create = getattr(artifacts, f"acreate_{kind}_artifact")
    try:
        apart(lambda: create(key=key, description=description, **content))
    except Exception as fault:
        log.warning("page %s could not be left in Prefect (%s)", key, type(fault).__name__)

"""Log records as JSON lines: time, level, logger, run, step, message. For machines; people get plain lines
(deployments/terminal/console.py).

Chosen by ``COGUMI_LOG=json``, also in the workers' processes (home.py tells Prefect). Not here: what is logged.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from blocks.printable import harmless_json


class JsonLines(logging.Formatter):
    """One JSON object per record. ``run``: the outermost flow run; ``flow_run``: the phase's; ``step_id``: Prefect's
    task run. The arguments are those of logging's configuration and change nothing."""

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, style: str = "%") -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without line breaks."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            **_place(record),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
            line["traceback"] = self.formatException(record.exc_info)
        return harmless_json(json.dumps(line, ensure_ascii=False, default=str))


def _place(record: logging.LogRecord) -> dict[str, Any]:
    """Where the record comes from; what is not known is left out. No request is made for it."""
    import sys

    found: dict[str, Any] = {}
    if "prefect.context" in sys.modules:  # not imported for the sake of a log line
        from prefect.context import TaskRunContext

        from blocks import store
        from blocks.journal import history

        task = TaskRunContext.get()
        found = history.known_where()
        found["step_id"] = str(task.task_run.id) if task is not None and task.task_run is not None else None
        found["step"] = store.current_step.get() or None
    for name in ("step", "step_id"):
        found[name] = getattr(record, name, None) or found.get(name)
    return {name: value for name, value in found.items() if value is not None}

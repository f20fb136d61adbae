"""What a person at a terminal sees of a run: one plain line per event, and no tracebacks of expected errors; JSON lines where asked for.

Not here: the logs that Prefect keeps with every run; they hold everything.
"""

import logging
import sys

from blocks.home import json_lines
from blocks.log_lines import JsonLines


def attach() -> None:
    """Print Cogumi's own log lines on stderr and keep Prefect's console quiet. Call after ``import prefect``."""
    for name in ["", *logging.root.manager.loggerDict]:
        for handler in logging.getLogger(name).handlers:
            if type(handler).__name__ == "PrefectConsoleHandler":
                handler.setLevel(logging.CRITICAL + 1)
    own = logging.getLogger("cogumi")
    own.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json_lines() else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.propagate = False
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)

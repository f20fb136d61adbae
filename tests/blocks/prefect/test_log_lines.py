"""Log records as JSON lines, ours and Prefect's."""

import json
import logging
import os
import subprocess
import sys
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from blocks.prefect.log_lines import JsonLines

WORKER = """
from blocks.storage.home import configure_prefect
configure_prefect()
import logging
import flows.phase
logging.getLogger("prefect.workers.process").warning("a pool is %s", "gone")
logging.getLogger("cogumi.step").info("%-22s %-6s", "sft", "ran", extra={"step": "sft"})
"""


@given(st.text(), st.sampled_from(["DEBUG", "INFO", "ERROR"]), st.text(max_size=20))
def test_any_message_is_one_line_that_reads_back(message: str, level: str, argument: str) -> None:
    record = logging.LogRecord(
        "cogumi.x", logging.getLevelName(level), "file", 1, message.replace("%", "%%") + "%s", (argument,), None
    )
    line = JsonLines().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["message"], read["level"], read["logger"]) == (message + argument, level, "cogumi.x")
    assert abs(datetime.fromisoformat(read["time"]).timestamp() - record.created) < 0.002


def test_an_error_keeps_its_kind_and_traceback() -> None:
    try:
        raise ValueError("torn\nline")
    except ValueError:
        record = logging.LogRecord("cogumi.x", logging.ERROR, "file", 1, "it broke", None, sys.exc_info())
    read = json.loads(JsonLines().format(record))
    assert read["error"] == "ValueError: torn\nline"
    assert "test_an_error_keeps" in read["traceback"]


def test_a_workers_process_logs_the_same_lines(tmp_path: object) -> None:
    """Prefect's console, as a worker's process has it, and Cogumi's own info lines, which the level for other libraries
    would drop."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "COGUMI_LOG": "json",
        "COGUMI_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    lines = [json.loads(line) for line in done.stderr.strip().split("\n")]
    assert [(line["logger"], line["level"], line["message"].strip(), line.get("step")) for line in lines] == [
        ("prefect.workers.process", "WARNING", "a pool is gone", None),
        ("cogumi.step", "INFO", "sft                    ran", "sft"),
    ]

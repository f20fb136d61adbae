"""Processes of a pool: Ctrl-C is for the one that started them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_ctrl_c_while_the_workers_start_says_one_word_and_leaves_nothing(tmp_path: Path) -> None:
    row = {
        "prompt": "Explain how " + "a river finds its way to the sea " * 20,
        "response": "It follows the slope of the land. " * 60,
    }
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"id": str(number), **row}) + "\n" for number in range(60_000))
    )
    filtering = [
        sys.executable,
        "-c",
        "from deployments.start import main; main()",
        "data",
        "filter",
        str(tmp_path / "in.jsonl"),
        str(tmp_path / "out" / "out.jsonl"),
    ]
    env = {**os.environ, "COGUMI_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        filtering, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "out").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, told = process.communicate(timeout=200)
    assert (process.returncode, out, told) == (130, "", "cogumi: interrupted\n")
    assert list((tmp_path / "out").iterdir()) == []

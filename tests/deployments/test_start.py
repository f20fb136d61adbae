"""The command line as a person meets it: exit codes, one clear line, kill and continue."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.migrated import migrated
from tests.tiny import TINY

COGUMI = [sys.executable, "-c", "from deployments.start import main; main()"]


def cogumi(*arguments: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {
        **os.environ,
        "COGUMI_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        **environment,
    }
    env.pop("PREFECT_API_URL", None)
    return subprocess.run([*COGUMI, *arguments], env=env, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--profile", "nope"], "unknown profile 'nope'; there are: llama-1b, llama-8b, nano"),
        (
            ["run", "--set", "training.fine_tuning.ranks=3"],
            "no field 'training.fine_tuning.ranks'; did you mean 'training.fine_tuning.rank'",
        ),
        (
            ["run", "--set", "training.fine_tuning.rank=high"],
            "training.fine_tuning.rank: Input should be a valid integer",
        ),
        (["run", "--set", "seed"], "write it as a.b=value"),
        (["run", "--phase", "cooking"], "unknown phase 'cooking'"),
        (["run", "--colour"], "No such option"),
        (["chat", "--prompt", "hello"], "there is no release here yet"),
        (["report"], "there is no release here yet"),
        (["data", "dedup", "missing.jsonl", "out.jsonl"], "missing.jsonl"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = cogumi(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
    assert not (tmp_path / "store").exists()


def test_an_unwritable_state_folder_is_one_clear_line() -> None:
    done = cogumi("run", home=Path("/proc/cogumi"))
    assert done.returncode == 2
    assert "set COGUMI_HOME to a writable folder" in done.stderr


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cogumi("up", "--port", str(taken.getsockname()[1]), home=tmp_path)
    assert done.returncode == 2
    assert "choose another port with --port" in done.stderr


def test_a_missing_key_of_a_real_teacher_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    real = (
        "teachers.models.rehearsal-medium={provider: openai, model: gpt-4o-mini, base_url: null, options: {}, "
        "temperature: true, key_env: COGUMI_TEST_KEY, "
        "block: null, prices: {input: 1, cached: 1, cache_write: 1, output: 1, batch: 1}, requests_per_minute: null, "
        "tokens_per_minute: null, timeout_s: 5, "
        "max_retries: 0, batch: false, idempotent_s: 0}"
    )
    done = cogumi(
        "run",
        "--phase",
        "dataset",
        *(part for one in [*TINY, real, "teachers.roles.questions=[rehearsal-medium]"] for part in ("--set", one)),
        home=migrated(tmp_path),
    )
    assert done.returncode == 2, done.stderr
    assert "COGUMI_TEST_KEY" in done.stderr.strip().split("\n")[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_it_continues_and_asks_only_what_was_in_flight(tmp_path: Path) -> None:
    dice = random.Random(7)
    command = [*COGUMI, "run", "--phase", "dataset", *(part for one in TINY for part in ("--set", one))]
    env = {
        **os.environ,
        "COGUMI_HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(tmp_path / "results"),
    }
    env.pop("PREFECT_API_URL", None)
    migrated(tmp_path)
    answered: set[str] = set()
    finished: set[str] = set()
    for _ in range(3):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:  # the first step is done: the kill lands anywhere behind it
            if " ran " in line or " cached " in line:
                break
        time.sleep(dice.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert answered <= recorded(tmp_path), "no recorded answer is lost"
        answered = recorded(tmp_path)
        assert finished <= manifests(tmp_path), "no finished step is lost"
        finished = manifests(tmp_path)
    done = cogumi("run", "--phase", "dataset", *(part for one in TINY for part in ("--set", one)), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"cached", done.stderr)
    assert answered <= recorded(tmp_path)
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
    assert paid_twice(tmp_path) == 0


def manifests(home: Path) -> set[str]:
    return {str(path) for path in (home / "store").glob("*/*/manifest.json")}


def journal(home: Path, question: str) -> list[tuple[str, int]]:
    path = home / "journal.db"
    if not path.exists():
        return []
    with sqlite3.connect(path) as database:
        return list(database.execute(question))


def recorded(home: Path) -> set[str]:
    """Keys of the calls whose answer is in the journal."""
    return {key for key, _ in journal(home, "select key, number from calls where state = 'answered'")}


def paid_twice(home: Path) -> int:
    """Calls that have more than one recorded answer."""
    return len(
        journal(home, "select key, count(*) from calls where state = 'answered' group by key having count(*) > 1")
    )

"""Thirty kills at random moments of the whole pipeline at its smallest size, on SQLite and on PostgreSQL."""

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.deployments.test_start import COGUMI
from tests.living import kill
from tests.production.machines import (
    anew,
    answers,
    check_store,
    finished,
    paid_twice,
    processes,
    recomputed,
    said,
    start,
    until,
)

KILLS, SEED = int(os.environ.get("COGUMI_KILLS", "30")), int(os.environ.get("COGUMI_KILLS_SEED", "11"))
pytestmark = [pytest.mark.all, pytest.mark.timeout(7200)]


def server_of(home: Path) -> int | None:
    return next(
        (pid for pid, command in processes(home).items() if "deployments.up.servers.own_server" in command), None
    )


def test_thirty_kills_lose_nothing(databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's process or its server is killed; finished steps and recorded answers stay what and where they are."""
    home, journal, dice = tmp_path / "home", databases["COGUMI_JOURNAL"], random.Random(SEED)
    kept: dict[str, int] = {}
    paid: set[tuple[str, int]] = set()
    kills, number, killed = 0, 0, {"run": 0, "server": 0}
    run: subprocess.Popen[str] | None = None

    def nothing_lost() -> None:
        assert recomputed(kept, home / "store") == [], said(home)[-3000:]
        kept.update(finished(home / "store"))
        recorded = set(answers(journal))
        assert paid <= recorded
        assert paid_twice(journal) == 0
        paid.update(recorded)

    def begin() -> "subprocess.Popen[str]":
        return start(home, *COGUMI[1:], "run", *(part for one in anew(number) for part in ("--set", one)), **databases)

    while kills < KILLS:
        run = run or begin()
        moment = time.monotonic() + dice.uniform(3, 25)
        while run.poll() is None and time.monotonic() < moment:
            time.sleep(0.05)
        if run.poll() is not None:
            assert run.returncode == 0, said(home)[-3000:]
            nothing_lost()
            number, run = number + 1, None  # everything is there; the next one begins anew
            continue
        victim = server_of(home) if dice.random() < 0.3 else None
        if victim is not None:
            kill(victim)
            killed["server"] += 1  # it is started again, and the run goes on
        else:
            run.kill()
            run.wait()
            killed["run"] += 1
            run = None
            until(lambda: not processes(home), 15, "all that belongs to the run goes with it")
        kills += 1
        nothing_lost()
    run = run or begin()
    assert run.wait(600) == 0, said(home)[-3000:]
    nothing_lost()
    until(lambda: not processes(home), 15, "nothing is left")
    assert check_store(home, monkeypatch) > 40
    print(
        f"{killed} killed; {len(kept)} steps finished, none twice; {len(paid)} answers paid, none twice; {number} runs "
        "ended between the kills"
    )

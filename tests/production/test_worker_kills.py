"""Kills at random moments of what ``cogumi up`` runs: workers, the processes of their runs, the server; on SQLite and
PostgreSQL."""

import os
import random
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployments.test_start import COGUMI
from tests.deployments.up_process import login
from tests.living import environment, kill
from tests.ports import free_port
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

pytestmark = [pytest.mark.all, pytest.mark.timeout(7200)]
KILLS, SEED = int(os.environ.get("COGUMI_KILLS", "10")), int(os.environ.get("COGUMI_KILLS_SEED", "11"))
LIFE = 3  # kills of one kind within one life of `cogumi up`, which gives up on a part that dies again and again


class House:
    """One ``cogumi up`` with server and workers, and the runs that are submitted to it from outside."""

    def __init__(self, folder: Path, databases: dict[str, str]) -> None:
        self.home, self.databases = folder / "home", databases
        self.killed = {"worker": 0, "run": 0, "server": 0}
        self.up: subprocess.Popen[str] | None = None

    def open(self) -> None:
        port = free_port()
        self.api, before = f"http://127.0.0.1:{port}/api", said(self.home).count("\nready") if self.home.exists() else 0
        self.up = start(self.home, *COGUMI[1:], "up", "--port", str(port), **self.databases)
        until(lambda: said(self.home).count("\nready") > before, 180, "ready")
        self.life = dict.fromkeys(self.killed, 0)

    def close(self) -> None:
        if self.up is not None:
            self.up.terminate()
            self.up.wait(200)
            self.up = None

    def submit(self, number: int) -> str:
        """A run's id. Asked over the API: a ``prefect deployment run --watch`` whose server dies misses what it waits
        for."""
        overrides = ["pools.training=gpu", "pools.compression=gpu", *anew(number)]
        deployment = self.ask("GET", "/deployments/name/pipeline/nano")["id"]
        return str(
            self.ask("POST", f"/deployments/{deployment}/create_flow_run", {"parameters": {"overrides": overrides}})[
                "id"
            ]
        )

    def ended(self, run: str) -> str | None:
        """The type of the run's last state, None while it goes on."""
        state = str(self.ask("GET", f"/flow_runs/{run}")["state_type"])
        return state if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The server's answer, waited for while it is started again."""
        deadline = time.monotonic() + 180
        while True:
            try:
                answer = httpx.request(
                    method, f"{self.api}{path}", json=body, auth=login(), timeout=20
                ).raise_for_status()
                return dict(answer.json())
            except httpx.HTTPError:
                assert time.monotonic() < deadline, said(self.home)[-3000:]
                time.sleep(0.2)

    def kill(self, kind: str) -> bool:
        """Kill one process of this kind; whether there was one."""
        there = processes(self.home)
        workers = [pid for pid, command in there.items() if "worker start" in command]
        found = {
            "worker": workers,
            "server": [pid for pid, command in there.items() if "server_command" in command],
            "run": [
                pid for pid in there if any(setting.startswith("PREFECT__FLOW_RUN_ID=") for setting in environment(pid))
            ],  # also one whose worker was killed before
        }[kind]
        if not found or self.life[kind] >= LIFE:
            return False
        kill(random.Random(sum(self.killed.values())).choice(sorted(found)))
        self.life[kind] += 1
        self.killed[kind] += 1
        return True


def test_kills_of_workers_runs_and_server_lose_nothing(
    databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, journal, dice = House(tmp_path, databases), databases["COGUMI_JOURNAL"], random.Random(SEED)
    kept: dict[str, int] = {}
    paid: set[tuple[str, int]] = set()
    ended = 0
    run: str | None = None

    def nothing_lost() -> None:
        assert recomputed(kept, house.home / "store") == [], said(house.home)[-3000:]
        kept.update(finished(house.home / "store"))
        recorded = set(answers(journal))
        assert paid <= recorded
        assert paid_twice(journal) == 0
        paid.update(recorded)

    house.open()
    try:
        while sum(house.killed.values()) < KILLS:
            if all(count >= LIFE for count in house.life.values()):
                house.close()
                house.open()
            run = run or house.submit(ended)
            moment = time.monotonic() + dice.uniform(4, 20)
            while house.ended(run) is None and time.monotonic() < moment:
                time.sleep(0.1)
            if (state := house.ended(run)) is not None:  # at the end, or with a run whose own process was killed
                if state == "COMPLETED":
                    ended += 1
                run = None
            elif house.kill(dice.choice(list(house.killed))):
                nothing_lost()
        run = run or house.submit(ended)
        until(partial(house.ended, run), 600, "the run ends")
        if house.ended(run) != "COMPLETED":  # killed before
            run = house.submit(ended)
            until(partial(house.ended, run), 600, "the run ends")
        last = house.ask("GET", f"/flow_runs/{run}")["state"]
        assert last["type"] == "COMPLETED", f"{last}\n{said(house.home)[-3000:]}"
        nothing_lost()
    finally:
        house.close()
    assert not processes(house.home)
    assert check_store(house.home, monkeypatch) > 40
    print(
        f"{house.killed} killed; {len(kept)} steps finished, none twice; {len(paid)} answers paid, none twice; {ended} "
        "runs ended between the kills"
    )

"""Kills at random moments of what ``cogumi up`` runs: workers, the processes of their runs, the server; on SQLite and PostgreSQL."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deployments.test_cli import COGUMI
from tests.production.machines import answers, check_store, environment, finished, paid_twice, processes, recomputed, said, start, until
from tests.tiny import TINY

pytestmark = [pytest.mark.all, pytest.mark.timeout(7200)]
KILLS, SEED = int(os.environ.get("COGUMI_KILLS", "10")), int(os.environ.get("COGUMI_KILLS_SEED", "11"))
LIFE = 3  # kills of one kind within one life of `cogumi up`, which gives up on a part that dies again and again


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class House:
    """One ``cogumi up`` with server and workers, and the runs that are submitted to it from outside."""

    def __init__(self, folder: Path, databases: dict[str, str]) -> None:
        self.home, self.shell, self.databases = folder / "home", folder / "shell", databases
        self.shell.mkdir()
        self.killed = {"worker": 0, "run": 0, "server": 0}
        self.up: subprocess.Popen[str] | None = None

    def open(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.api, before = f"http://127.0.0.1:{port}/api", said(self.home).count("\nready") if self.home.exists() else 0
        self.up = start(self.home, *COGUMI[1:], "up", "--port", str(port), **self.databases)
        until(lambda: said(self.home).count("\nready") > before, 180, "ready")
        self.life = dict.fromkeys(self.killed, 0)

    def close(self) -> None:
        if self.up is not None:
            self.up.terminate()
            self.up.wait(90)
            self.up = None

    def submit(self, seed: int) -> "subprocess.Popen[bytes]":
        overrides = json.dumps(["pools.training=gpu", "pools.compression=gpu", *TINY, f"seed={seed}"])
        command = [sys.executable, "-m", "prefect", "deployment", "run", "pipeline/nano", "--param", f"overrides={overrides}", "--watch", "--watch-interval", "1"]
        with (self.shell / "watch.log").open("ab") as log:
            return subprocess.Popen(command, env=environment(self.shell, PREFECT_API_URL=self.api), stdout=log, stderr=log)

    def kill(self, kind: str) -> bool:
        """Kill one process of this kind; whether there was one."""
        there = processes(self.home)
        workers = [pid for pid, command in there.items() if "worker start" in command]
        found = {
            "worker": workers,
            "server": [pid for pid, command in there.items() if "server_command" in command],
            "run": [pid for pid in there if pid not in workers and parent(pid) in workers],  # one that nobody watches over is found by its heartbeat, minutes later
        }[kind]
        if not found or self.life[kind] >= LIFE:
            return False
        os.kill(random.Random(sum(self.killed.values())).choice(sorted(found)), signal.SIGKILL)
        self.life[kind] += 1
        self.killed[kind] += 1
        return True


def test_kills_of_workers_runs_and_server_lose_nothing(databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, journal, dice = House(tmp_path, databases), databases["COGUMI_JOURNAL"], random.Random(SEED)
    kept: dict[str, int] = {}
    paid: set[tuple[str, int]] = set()
    ended, seed = 0, 0
    client: subprocess.Popen[bytes] | None = None

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
                client = None
            client = client or house.submit(seed)
            moment = time.monotonic() + dice.uniform(4, 20)
            while client.poll() is None and time.monotonic() < moment:
                time.sleep(0.1)
            if client.poll() is not None:  # at the end, or with a run whose own process was killed
                if client.returncode == 0:
                    ended, seed = ended + 1, seed + 1
                client = None
            elif house.kill(dice.choice(list(house.killed))):
                nothing_lost()
        for _ in range(4):
            client = client or house.submit(seed)
            if client.wait(600) == 0:
                break
            client = None
        assert client is not None, (house.shell / "watch.log").read_text()[-3000:]
        nothing_lost()
    finally:
        house.close()
    assert not processes(house.home)
    assert check_store(house.home, monkeypatch) > 40
    print(f"{house.killed} killed; {len(kept)} steps finished, none twice; {len(paid)} answers paid, none twice; {ended} runs ended between the kills")

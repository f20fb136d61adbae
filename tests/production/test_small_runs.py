"""A small run through real accidents: killed, its server killed, ended by a signal, two at once."""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from deployments.up.servers.own_server import wait_for
from tests.living import kill
from tests.ports import free_port
from tests.production.machines import check_store, finished, processes, recomputed, said, start, until

pytestmark = [pytest.mark.slow]
SMALL = ("-m", "tests.production.small")


def begun(home: Path) -> Counter[str]:
    """How often each step began."""
    log = home / "ran.log"
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def server_of(home: Path) -> int | None:
    return next(
        (pid for pid, command in processes(home).items() if "deployments.up.servers.own_server" in command), None
    )


def gone(home: Path) -> bool:
    return not processes(home)


def test_after_a_kill_a_signal_and_the_loss_of_its_server_a_run_ends_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(3)
    before: dict[str, int] = {}

    def run_until(number: signal.Signals) -> int:
        run = start(tmp_path, *SMALL, "7")
        steps = len(begun(tmp_path))
        until(lambda: len(begun(tmp_path)) > steps, 120, "a step begins")
        time.sleep(dice.uniform(0, 1))
        run.send_signal(number)
        code = run.wait(30)
        until(lambda: gone(tmp_path), 10, "its server goes with it")
        assert recomputed(before, tmp_path / "store") == []
        before.update(finished(tmp_path / "store"))
        return code

    assert run_until(signal.SIGKILL) == -9
    assert run_until(signal.SIGTERM) == 143, said(tmp_path)
    earlier = len(said(tmp_path))
    run = start(tmp_path, *SMALL, "7")
    until(lambda: server_of(tmp_path), 120, "there is a server")
    until(
        lambda: any(line.split()[2:3] in (["ran"], ["cached"]) for line in said(tmp_path)[earlier:].splitlines()),
        120,
        "a step is done",
    )
    server = server_of(tmp_path)
    assert server is not None
    kill(server)
    assert run.wait(200) == 0, said(tmp_path)
    assert "the run's Prefect server ended with code -9 and is started again" in said(tmp_path)
    assert recomputed(before, tmp_path / "store") == []
    assert set(begun(tmp_path)) == set("0123456")
    assert sum(begun(tmp_path).values()) <= 7 + 2, "of each run that was ended one step is done again"
    assert check_store(tmp_path, monkeypatch) == 7
    assert gone(tmp_path)


@pytest.mark.all
def test_ctrl_c_ends_a_run_and_all_that_belongs_to_it(tmp_path: Path) -> None:
    run = start(tmp_path, *SMALL, "50")
    until(lambda: begun(tmp_path), 120, "a step begins")
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 130, said(tmp_path)
    assert gone(tmp_path)


@pytest.mark.all
def test_two_runs_at_once_do_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [start(tmp_path, *SMALL, "5") for _ in range(2)]
    until(lambda: begun(tmp_path), 120, "a step begins")
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db", timeout=60, isolation_level=None) as database:
        database.execute("BEGIN IMMEDIATE")  # a database that somebody else keeps locked for a while is awaited
        time.sleep(2)
        database.execute("ROLLBACK")
    assert [run.wait(200) for run in runs] == [0, 0], said(tmp_path)
    assert begun(tmp_path) == Counter("01234")
    assert check_store(tmp_path, monkeypatch) == 5


@pytest.mark.all
def test_a_run_whose_server_is_lost_for_good_ends_with_one_clear_line(tmp_path: Path) -> None:
    """The server of ``cogumi up``, say: nothing here starts it again."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    other = start(tmp_path / "server", "-m", "deployments.up.servers.own_server", str(port), str(os.getpid()))
    wait_for(api, other, "server.log")
    run = start(tmp_path / "run", *SMALL, "4", PREFECT_API_URL=api, PREFECT_CLIENT_MAX_RETRIES="1")
    try:
        until(lambda: begun(tmp_path / "run"), 120, "a step begins")
        other.kill()
        assert run.wait(60) == 1, said(tmp_path / "run")
        assert (
            said(tmp_path / "run")
            .splitlines()[-1]
            .endswith(
                "is gone (ConnectError); start it again, or correct or unset PREFECT_API_URL, and run again: finished "
                "steps are kept"
            )
        )
        assert gone(tmp_path / "run")
    finally:
        other.kill()
        other.wait()
        run.kill()
        run.wait()

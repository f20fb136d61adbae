"""Machines of a test: state folders, the processes that belong to them, and what must hold after any accident."""

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from blocks import store
from blocks.storage import places
from tests.living import living
from tests.migrated import migrated
from tests.tiny import TINY

KEY = re.compile(r"[0-9a-f]{64}")


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose state folder is ``home``; nothing of this test process's own Prefect but the
    login."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "COGUMI_")) or name == "PREFECT_API_AUTH_STRING"
    }
    return {**own, "COGUMI_HOME": str(home), **more}


def start(home: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    """Start ``python ARGUMENTS`` on machine ``home``, its output in ``said.log`` there."""
    home.mkdir(parents=True, exist_ok=True)
    if not more.keys() & {"PREFECT_API_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL"}:
        migrated(home)
    with (home / "said.log").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment(home, **more),
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            text=True,
        )


def said(home: Path) -> str:
    return (home / "said.log").read_text(errors="replace")  # its last character may be half written


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def processes(home: Path) -> dict[int, str]:
    """pid → command line of every process whose state folder is ``home``."""
    return living(f"COGUMI_HOME={home}")


def finished(place: Path) -> dict[str, int]:
    """Key → time (ns) at which its result was written, of every finished step in the store folder ``place``."""
    return {path.name: path.stat().st_mtime_ns for path in (place / "results").glob("*") if KEY.fullmatch(path.name)}


def recomputed(before: dict[str, int], place: Path) -> list[str]:
    """The steps that were finished before and whose result is gone or was written again."""
    after = finished(place)
    return [key for key, written in before.items() if after.get(key) != written]


def answers(
    journal: str, question: str = "select key, number from calls where state = 'answered'"
) -> list[tuple[str, int]]:
    """What the journal at this URL says: by default the calls whose answer is recorded."""
    engine = create_engine(journal)
    try:
        with engine.connect() as db:
            return [(str(key), int(number)) for key, number in db.execute(text(question))]
    except DatabaseError:
        return []  # the first run was killed before it made the table
    finally:
        engine.dispose()


def paid_twice(journal: str) -> int:
    """Calls that have more than one recorded answer."""
    return len(
        answers(journal, "select key, count(*) from calls where state = 'answered' group by key having count(*) > 1")
    )


def check_store(home: Path, monkeypatch: pytest.MonkeyPatch, place: str | None = None) -> int:
    """Nothing half-written, nothing left, no lock held; the number of artifacts."""
    monkeypatch.setenv("COGUMI_HOME", str(home))
    if place is not None:
        monkeypatch.setenv("COGUMI_STORE", place)
    else:
        monkeypatch.delenv("COGUMI_STORE", raising=False)
    there = store.everything()
    for one in there:
        store.verify(one)
    with store.create("nothing"):
        pass  # whoever works next sweeps what the dead left
    assert list((places.scratch() / "tmp").iterdir()) == []
    for lock in (places.scratch() / "locks").iterdir():
        handle = os.open(lock, os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
    return len(there)


def anew(number: int) -> list[str]:
    """Settings by which the run of that number finds next to nothing in the cache. Not by further seeds: at the
    smallest size some leave a student without one right answer, and calibrating the router ends there, as it should."""
    return [*TINY, f"seed={number % 2}", f"data.writing.max_tokens={600 + number}"]

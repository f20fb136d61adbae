"""The journal's file while several processes and several connections of one process have it open."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from blocks.journal.journal import Journal, sessions

VISITOR = (
    "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT count(*) FROM "
    "sessions').fetchone(); db.close()"
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path))
    monkeypatch.delenv("COGUMI_JOURNAL", raising=False)
    return tmp_path / "journal.db"


def test_a_second_journal_of_a_process_leaves_the_first_its_locks(state: Path) -> None:
    """Closing any descriptor of a file ends a process's POSIX locks on it: another process that left then took itself
    for the last one and removed the log that this one still wrote to. Runs saw "database disk image is malformed", and
    what they wrote was lost."""
    first, second = Journal(None), Journal(None, notes=True)
    subprocess.run([sys.executable, "-c", VISITOR, str(state)], check=True, timeout=60)
    assert state.with_name("journal.db-wal").exists()
    with first.writing() as db:
        db.execute(insert(sessions).values(id="s", host="h", process="p", heartbeat=1.0))
    with sqlite3.connect(state) as other:
        assert other.execute("SELECT id FROM sessions").fetchall() == [("s",)]
    with second.reading() as db:
        assert db.execute(select(sessions.c.id)).scalars().all() == ["s"]
    first.close()
    second.close()


def test_a_new_journal_is_its_owners_only_and_leaves_nothing_beside_it(state: Path) -> None:
    journal = Journal(None)
    made = sorted(path.name for path in state.parent.iterdir())
    assert made == ["journal.db", "journal.db-shm", "journal.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.parent.iterdir()} == {0o600}
    journal.close()

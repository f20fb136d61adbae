"""An empty database of Prefect's, already migrated: some three seconds of each server that a test starts go into the
same migrations.

A server without one is still started where a test says so (tests/deployments/up/servers/test_own_server.py), and in
every run by a person.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAKE = """
import asyncio
from blocks.storage.home import configure_prefect
configure_prefect()
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


def migrated(home: Path) -> Path:
    """Put one into the state folder ``home``, unless it has a database; returns ``home``."""
    database = home / "prefect" / "prefect.db"
    if not database.exists():
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(_template(), database)
        database.chmod(0o600)
    return home


def _template() -> Path:
    """Made once per test run, whichever of its processes needs it first."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    home = Path(tempfile.gettempdir()) / f"cogumi-migrated-{run}"
    (home / "prefect").mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "made").exists():
            environment = {**os.environ, "COGUMI_HOME": str(home), "PREFECT_HOME": str(home / "prefect")}
            subprocess.run([sys.executable, "-c", MAKE], env=environment, check=True, capture_output=True, timeout=280)
            assert not (home / "prefect" / "prefect.db-wal").exists(), (
                "closed in good order, so that the file is all of it"
            )
            (home / "made").touch()
    return home / "prefect" / "prefect.db"

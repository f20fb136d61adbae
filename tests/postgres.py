"""A real PostgreSQL for tests: in a temporary folder, on a free port, gone afterwards."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

NOBODY = 65534


def programs() -> Path | None:
    """Where PostgreSQL's programs are: in the wheel pgserver, else where Debian installs them."""
    wheel = importlib.util.find_spec("pgserver")
    places = [*([Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []), *_debian()]
    return next((place for place in places if (place / "initdb").exists()), None)


def with_contrib() -> Path | None:
    """The same, with the extensions that the wheel lacks: Prefect's server needs pg_trgm, the journal none."""
    return next(
        (
            place
            for place in _debian()
            if Path("/usr/share/postgresql", place.parent.name, "extension", "pg_trgm.control").exists()
        ),
        None,
    )


def _debian() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@contextmanager
def running(driver: str = "psycopg", contrib: bool = False) -> Iterator[str]:
    """The URL of a PostgreSQL of our own, in a temporary folder; it does not run as root, so it runs as "nobody"
    there."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    found = with_contrib() if contrib else programs()
    if found is None:
        pytest.skip(
            "PostgreSQL is not installed under /usr/lib/postgresql, with its contrib package"
            if contrib
            else "PostgreSQL is not installed"
        )
    folder = Path(tempfile.mkdtemp(prefix="cogumi-postgres-", dir="/tmp"))  # short: a socket's path must be
    other: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    if other:
        os.chown(folder, NOBODY, NOBODY)
        if not all(parent.stat().st_mode & 0o001 for parent in found.parents):  # a home folder that nobody may enter
            shutil.copytree(found.parent, folder / "programs")
            found = folder / "programs" / "bin"
    data, port = folder / "data", free_port()

    def run(*command: str | Path) -> None:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder, **other)

    try:
        run(found / "initdb", "-D", data, "-U", "cogumi", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        run(found / "pg_ctl", "-D", data, "-w", "-t", "180", "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql+{driver}://cogumi@127.0.0.1:{port}/postgres"
        finally:
            run(found / "pg_ctl", "-D", data, "-t", "180", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # its last processes may still be tidying up

"""What ``cogumi up`` refuses: options that contradict each other, ports and databases that cannot be; one clear line
each, before anything starts."""

import socket
from pathlib import Path

import pytest

from deployments.up.servers import prefect_database
from tests import postgres
from tests.deployments.test_start import cogumi
from tests.ports import free_port


def test_a_port_for_prometheus_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cogumi("up", "--port", str(free_port()), "--metrics", str(port), home=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        f"cogumi: cannot listen on 127.0.0.1:{port}: Address already in use; choose another port with --metrics\n",
    )
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--api", "http://127.0.0.1:9/api"], "no Prefect server answers at http://127.0.0.1:9/api"),
        (["--api", "127.0.0.1:4200"], "write the address that `cogumi up` printed"),
        (
            ["--api", "http://127.0.0.1:4200/api", "--database", "postgresql://x/y"],
            "--database belongs to the server that is started",
        ),
        (["--server-only", "--pool", "gpu"], "give one of them"),
        (["--server-only", "--api", "http://127.0.0.1:4200/api", "--metrics", "9464"], "--metrics lasts"),
        (["--database", "mysql://root:hunter2@h/d"], "--database mysql://root@h/d: write postgresql://"),
        (
            ["--database", "postgresql://me:hunter2@127.0.0.1:9/d"],
            "cannot use postgresql://me@127.0.0.1:9/d as Prefect's database",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = cogumi("up", "--port", str(free_port()), *arguments, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
    assert "hunter2" not in done.stderr


@pytest.mark.all
def test_a_postgresql_without_the_extension_is_one_clear_line(tmp_path: Path) -> None:
    found = postgres.programs()
    if found is None or list(found.parent.rglob("pg_trgm.control")) or found.is_relative_to("/usr/lib"):
        pytest.skip("no PostgreSQL without pg_trgm is installed")
    with postgres.running("asyncpg") as url:
        done = cogumi("up", "--port", str(free_port()), "--database", url, home=tmp_path)
    assert done.returncode == 2
    assert "has no extension pg_trgm" in done.stderr


def test_no_password_is_shown() -> None:
    assert (
        prefect_database.shown("postgresql://me:p%40ss@db.example:5432/prefect?password=x")
        == "postgresql://me@db.example:5432/prefect"
    )
    assert prefect_database.shown("postgresql:///prefect") == "postgresql:///prefect"

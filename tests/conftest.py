"""Every test gets a state folder of its own; nothing leaks between tests or into the user's state."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as properties

# Of the environment nothing is kept: neither the user's own, nor what pytest-xdist's processes inherit from the one
# that starts them, by which their servers would share a database and see each other's runs.
_FOR_TESTS = ("COGUMI_CASES", "COGUMI_CORPORA", "COGUMI_KILLS", "COGUMI_KILLS_SEED")
for inherited in [name for name in os.environ if name.startswith(("COGUMI_", "PREFECT_")) and name not in _FOR_TESTS]:
    del os.environ[inherited]
_SESSION = tempfile.mkdtemp(prefix=f"cogumi-tests-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}-")
os.environ["COGUMI_HOME"] = _SESSION
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# One login for every server that tests start and ask; what is done without one is tested in
# tests/deployments/up/servers/test_login.py.
os.environ["PREFECT_API_AUTH_STRING"] = "tests:only-here"

# The same examples every time and everywhere, however slow the machine: a test run is a verdict on what was changed. To
# search for new counterexamples: pytest --hypothesis-profile=searching.
properties.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
properties.register_profile(
    "searching", deadline=None, max_examples=1000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
properties.load_profile("repeatable")

from blocks.storage.home import configure_prefect  # noqa: E402 - Prefect reads its settings when it is first imported

configure_prefect()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh ``COGUMI_HOME`` for this test."""
    monkeypatch.setenv("COGUMI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real Prefect server for the session, the one that ``cogumi run`` starts, on a database of its own."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from deployments.terminal.shutdown import drain
    from deployments.up.servers.own_server import LOG, Temporary, wait_for
    from tests.migrated import migrated

    migrated(Path(_SESSION))
    server = Temporary()
    try:
        wait_for(server.api, server, LOG)
        with temporary_settings({PREFECT_API_URL: server.api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
            drain()
    finally:
        server.stop()

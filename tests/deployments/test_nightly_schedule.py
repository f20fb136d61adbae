"""The deployment nightly/nano on a real server with a real worker: a scheduled night that is still going is not
doubled."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.up_process import Up, ask, get, post, until
from tests.ports import free_port

pytestmark = [pytest.mark.all, pytest.mark.timeout(900)]


def test_a_scheduled_night_that_is_still_going_is_not_doubled(tmp_path: Path) -> None:
    """Due every five seconds, held up by a pipe in place of the release pointer; every later run is cancelled, and none
    is after it ended."""
    pointer = tmp_path / "store" / "releases.json"
    pointer.parent.mkdir(parents=True)
    os.mkfifo(pointer)
    up = Up(
        tmp_path,
        "--port",
        str(free_port()),
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS="3",
        PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS="1",
    )
    try:
        up.says("ready")
        deployment = get(up.api, "/deployments/name/nightly/nano")
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        ask(
            "POST",
            f"{up.api}/deployments/{deployment['id']}/schedules",
            [{"schedule": {"interval": 5.0}, "active": True}],
        ).raise_for_status()

        def states() -> Counter[str]:
            runs: list[dict[str, Any]] = post(
                up.api, "/flow_runs/filter", deployments={"id": {"any_": [deployment["id"]]}}, limit=200
            )
            assert all(run["auto_scheduled"] for run in runs)
            return Counter(run["state_name"] for run in runs)

        until(lambda: states()["Cancelled"] >= 2 and states()["Running"] == 1, 180, lambda: f"{states()} {up.logs()}")
        assert states()["Running"] == 1
        assert states()["Completed"] + states()["Failed"] + states()["Crashed"] == 0
        with pointer.open("wb"):
            pointer.unlink()
        until(lambda: states()["Failed"] >= 1, 180, lambda: f"{states()} {up.logs()}")
    finally:
        up.end()

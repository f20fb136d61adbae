"""One run split over two machines that share only the artifact store and the journal: on a folder, and on S3 with
PostgreSQL."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import postgres, s3
from tests.deployments.test_start import COGUMI
from tests.deployments.up_process import login
from tests.ports import free_port
from tests.production.machines import check_store, environment, processes, said, start, until
from tests.tiny import TINY

pytestmark = [pytest.mark.all, pytest.mark.timeout(1800)]
ON_GPU = ["pools.training=gpu", "pools.compression=gpu"]


@pytest.fixture(params=["folder", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What both machines share."""
    if request.param == "folder":
        yield {
            "COGUMI_STORE": str(tmp_path / "shared" / "store"),
            "COGUMI_JOURNAL": f"sqlite:///{tmp_path / 'shared' / 'journal.db'}",
        }
        return
    with s3.server() as address, postgres.running() as journal:
        yield {"COGUMI_STORE": s3.bucket(*address), "COGUMI_JOURNAL": journal, **s3.environment(*address)}


class Site:
    """A server, a machine for each pool, and a third shell."""

    def __init__(self, folder: Path, shared: dict[str, str]) -> None:
        self.server, self.cpu, self.gpu, self.shell = (folder / name for name in ("server", "cpu", "gpu", "shell"))
        self.shared = shared
        self.seen: dict[str, set[int]] = {"cpu": set(), "gpu": set()}
        self.shell.mkdir()
        (folder / "shared").mkdir()
        self.ups = [start(self.server, *COGUMI[1:], "up", "--server-only", "--port", str(free_port()))]
        until(lambda: "ready" in said(self.server).split(), 180, "the server is ready")
        self.api = next(line.split()[1] for line in said(self.server).splitlines() if line.startswith("api "))
        for home, pool in ((self.cpu, "cpu"), (self.gpu, "gpu")):
            self.ups.append(start(home, *COGUMI[1:], "up", "--pool", pool, "--api", self.api, **shared))
        for home in (self.cpu, self.gpu):
            until(lambda home=home: "ready" in said(home).split(), 180, f"{home.name} is ready")  # type: ignore[misc]

    def run(self, *overrides: str) -> None:
        """Run the pipeline from a third shell, and watch which processes each machine has meanwhile."""
        chosen = json.dumps([*ON_GPU, *TINY, *overrides])
        command = [
            sys.executable,
            "-m",
            "prefect",
            "deployment",
            "run",
            "pipeline/nano",
            "--param",
            f"overrides={chosen}",
            "--watch",
            "--watch-interval",
            "1",
        ]
        with (self.shell / "watch.log").open("w") as log:
            client = subprocess.Popen(
                command, env=environment(self.shell, PREFECT_API_URL=self.api), stdout=log, stderr=log
            )
            while client.poll() is None:
                for home in (self.cpu, self.gpu):
                    self.seen[home.name] |= set(processes(home))
                time.sleep(0.5)
        assert client.returncode == 0, (self.shell / "watch.log").read_text()[-2000:] + said(self.cpu)[-1000:]

    def post(self, path: str, **body: object) -> list[dict[str, object]]:
        answer = httpx.post(f"{self.api}{path}", json=body, auth=login(), timeout=60)
        answer.raise_for_status()
        found: list[dict[str, object]] = answer.json()
        return found

    def steps(self) -> dict[str, int]:
        """How many steps of the newest run, wherever they ran, ended in which state; phases, gates and notices are no
        steps."""
        root = self.post("/flow_runs/filter", sort="START_TIME_DESC", limit=1, flows={"name": {"any_": ["pipeline"]}})[
            0
        ]["id"]
        level, states = [root], dict[str, int]()
        while level:
            for task in self.post(
                "/task_runs/filter", task_runs={"flow_run_id": {"any_": level}, "subflow_runs": {"exists_": False}}
            ):
                if not str(task["name"]).endswith("(every run)"):
                    states[str(task["state_name"])] = states.get(str(task["state_name"]), 0) + 1
            level = [
                one["id"] for one in self.post("/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": level}})
            ]
        return states

    def ran_on(self, flow: str) -> set[str]:
        """The machines among whose processes are those that ran ``flow``."""
        ran = {
            int(str(one["infrastructure_pid"]))
            for one in self.post("/flow_runs/filter", flows={"name": {"any_": [flow]}})
        }
        return {name for name, seen in self.seen.items() if ran & seen}

    def close(self) -> None:
        for up in reversed(self.ups):
            up.terminate()
        for up in self.ups:
            up.wait(200)


@pytest.fixture
def site(tmp_path: Path, shared: dict[str, str]) -> Iterator[Site]:
    made = Site(tmp_path, shared)
    try:
        yield made
    finally:
        made.close()


def test_one_run_over_two_machines_that_share_only_the_store(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    first = site.steps()
    assert first.get("Completed", 0) > 40
    assert site.ran_on("pipeline") == {"cpu"}
    assert site.ran_on("training") == site.ran_on("compression") == {"gpu"}
    site.run()
    again = site.steps()
    assert again == {"Cached": sum(first.values())}, "every step, on either machine, comes from the cache"
    site.run("release.title=Another name")
    assert site.steps() == {"Cached": sum(first.values()) - 2, "Completed": 2}, "the release and its report"
    site.close()
    assert not processes(site.cpu)
    assert not processes(site.gpu)
    for name, value in site.shared.items():
        monkeypatch.setenv(name, value)
    s3.forget()
    for home in (site.cpu, site.gpu):
        assert check_store(home, monkeypatch, site.shared["COGUMI_STORE"]) > 40

"""Dispatch to a work pool: what is said when something is missing, and what comes back from a real worker."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow, flow, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL

from blocks.prefect import code_version as code
from configs.errors import BadInput, GateFailed
from flows import waiting
from flows.dispatch import _fresh as told_fresh
from flows.dispatch import compare_code, dispatch
from tests.flows.remote import Doubled, die_once, double, misplaced, refuse
from tests.places import ROOT

POOL = "remote"
OURS = code.code_version()
RELEASE = OURS.split("+")[0]


def test_a_deployment_of_an_older_version_is_refused() -> None:
    with pytest.raises(
        BadInput,
        match=rf"is of version 0\.0\.9, older than this code \({RELEASE}\).*`cogumi up --server-only --api \S+` from "
        r"this code",
    ):
        compare_code("training/gpu", "0.0.9+0123456789ab")


def test_code_that_is_older_than_the_deployment_is_refused() -> None:
    with pytest.raises(
        BadInput,
        match=rf"this code is of version {RELEASE}, older than deployment training/gpu \(99\.0\.0\): update this code, "
        r"or `cogumi up --server-only",
    ):
        compare_code("training/gpu", "99.0.0+0123456789ab")


def test_other_code_of_the_same_version_is_told() -> None:
    assert compare_code("training/gpu", OURS) is None
    other, unknown = (
        str(compare_code("training/gpu", version))
        for version in (f"{RELEASE}+0123456789ab", "d41d8cd98f00b204e9800998ecf8427e")
    )
    assert "was made from other code of the same version" in other
    assert "does not say which code" in unknown
    assert all("; `cogumi up --server-only --api " in said for said in (other, unknown)), (
        "which keeps what a person set on the server"
    )


def test_the_version_is_that_of_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The digest moves with any file that a run executes or reads, and with nothing else."""
    for package in code.PACKAGES:
        (tmp_path / package).mkdir()
    (tmp_path / "flows" / "one.py").write_text("1")
    monkeypatch.setattr(code, "ROOT", tmp_path)

    def fresh() -> str:
        code.code_version.cache_clear()
        return code.code_version()

    first = fresh()
    (tmp_path / "flows" / "notes.txt").write_text("x")
    assert fresh() == first
    (tmp_path / "configs" / "a.yaml").write_text("x")
    second = fresh()
    (tmp_path / "flows" / "one.py").rename(tmp_path / "flows" / "two.py")
    third = fresh()
    monkeypatch.undo()
    code.code_version.cache_clear()
    assert len({first, second, third}) == 3


@pytest.fixture(scope="module")
def pool(prefect_server: None) -> str:
    """A pool with the deployments of the small flows, and no worker."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        for each in (double, refuse, die_once):
            deploy(client, each, OURS)
        deploy(client, misplaced, "99.0.0+0123456789ab")
    return POOL


def deploy(client: Any, each: Flow[Any, Any], deployed: str) -> None:
    client.create_deployment(
        flow_id=client.create_flow(each),
        name=POOL,
        version=OURS,
        work_pool_name=POOL,
        entrypoint=f"tests.flows.remote.{each.fn.__name__}",
        pull_steps=[{"blocks.prefect.code_version.check": {"deployed": deployed}}],
        enforce_parameter_schema=False,
    )


def inside(call: Callable[[], Any]) -> Any:
    """Call from a flow, as the pipeline does."""

    @flow(name="outer", persist_result=False)
    def outer() -> Any:
        return call()

    return outer()


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """What the run's own log and the terminal are given."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    keep = Keep()
    logger = logging.getLogger("cogumi.dispatch")
    level = logger.level
    logger.addHandler(keep)
    logger.setLevel(logging.INFO)
    yield said
    logger.setLevel(level)
    logger.removeHandler(keep)


def test_a_missing_pool_names_those_that_exist(pool: str) -> None:
    with pytest.raises(BadInput, match=rf"there is no work pool 'gqu'; there are: .*{POOL}"):
        inside(lambda: dispatch(double, "gqu", 1))


def test_a_missing_deployment_says_what_makes_it(pool: str) -> None:
    @flow
    def never_deployed() -> None: ...

    with pytest.raises(
        BadInput,
        match=r"there is no deployment 'never-deployed/remote'; `cogumi up --server-only --api "
        rf"{PREFECT_API_URL.value()}` makes",
    ):
        inside(lambda: dispatch(never_deployed, POOL))


@pytest.mark.parametrize(("kind", "where"), [("process", ""), ("kubernetes", " where kubernetes can be reached")])
def test_a_pool_without_a_worker_says_what_starts_one(kind: str, where: str, prefect_server: None) -> None:
    """Whatever its type by `cogumi up`, whose workers take from a run only what the pool offers."""
    with get_client(sync_client=True) as client:
        empty = client.create_work_pool(WorkPoolCreate(name=f"empty-{kind}", type=kind))
    said = (
        f"no worker serves work pool {empty.name}; start one{where} with: cogumi up --pool {empty.name} --api "
        f"{PREFECT_API_URL.value()}"
    )
    assert waiting._reason(empty, 0) == said


@pytest.mark.parametrize(("offered", "sent"), [("fresh", {"fresh": "1"}), ("env", {"env": {"COGUMI_FRESH": "1"}})])
def test_a_fresh_run_is_told_to_a_pool_by_what_its_template_offers(
    offered: str, sent: dict[str, Any], prefect_server: None
) -> None:
    template = {
        "job_configuration": {"env": {}},
        "variables": {"type": "object", "properties": {offered: {"default": ""}}},
    }
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=f"offers-{offered}", type="process", base_job_template=template))
    assert told_fresh(f"offers-{offered}") == sent


def test_a_pool_that_cannot_be_told_is_said(pool: str) -> None:
    with pytest.raises(BadInput, match=rf"the job template of work pool {POOL} offers neither `fresh` nor `env`"):
        told_fresh(POOL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_waits_loudly_for_a_worker_and_goes_on_with_it(
    pool: str, warned: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No worker: told at once and again. Then a worker: results, errors and lost processes come back as they should."""
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(waiting, "REPEAT_SECONDS", 1.0)
    waits = (
        f"no worker serves work pool {POOL}; start one with: cogumi up --pool {POOL} --api {PREFECT_API_URL.value()}"
    )
    again, seen = threading.Event(), waiting.log.warning

    def counted(message: str, *values: Any) -> None:
        seen(message, *values)
        if sum(waits in said for said in warned) >= 2:
            again.set()

    monkeypatch.setattr(waiting.log, "warning", counted)
    worker: list[subprocess.Popen[bytes]] = []

    api = PREFECT_API_URL.value() or ""  # the fixture's settings are this thread's

    def start_worker() -> None:
        again.wait(120)
        environment = {
            **os.environ,
            "PREFECT_API_URL": api,
            "PYTHONPATH": str(ROOT),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        environment |= {
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": os.environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"],
            "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        }
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
        worker.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    starter = threading.Thread(target=start_worker)
    starter.start()
    try:
        assert inside(lambda: dispatch(double, POOL, 21)).number == 42
        assert sum(waits in said for said in warned) >= 2
        assert any("has started" in said or "has a worker again" in said for said in warned)
        with pytest.raises(GateFailed, match=r"^gate test: value = 3, must be >= 99$"):
            inside(lambda: dispatch(refuse, POOL, 3))
        with pytest.raises(
            BadInput,
            match=rf"^the code on worker \S+ is of version {RELEASE}, older than the run's deployment \(99\.0\.0\): "
            r"update its checkout or image",
        ):
            inside(lambda: dispatch(misplaced, POOL, 4))
        warned.clear()
        assert inside(lambda: dispatch(die_once, POOL, str(tmp_path / "trace"))).number == 1
        assert any("submitted again, finished steps come from the cache" in said for said in warned)
    finally:
        again.set()
        starter.join()
        for each in worker:
            each.terminate()
            each.wait(120)


def test_a_phase_here_keeps_its_type_when_the_run_begins_again(prefect_server: None) -> None:
    """Retried or resumed, a run takes what its phases returned from the first go, as plain JSON."""
    found: list[Doubled] = []

    @flow(name="twice", retries=1, persist_result=False)
    def twice() -> None:
        found.append(dispatch(double, "local", 4))
        if len(found) == 1:
            raise ConnectionError("once")

    twice()
    assert found == [Doubled(number=8)] * 2

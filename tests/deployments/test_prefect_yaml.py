"""prefect.yaml: nothing in it that Prefect ignores, and a real server holds afterwards what it says."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import get_client
from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL
from prefect.utilities.callables import parameter_schema

from blocks.code_version import code_version
from configs.schema import available, load
from deployments import preparing
from flows.compression import compression
from flows.dataset import dataset
from flows.modifiers import modifiers
from flows.nightly import nightly
from flows.pipeline import PHASES, pipeline
from flows.release import release
from flows.retraining import retraining
from flows.routing import routing
from flows.training import training

ROOT = Path(__file__).resolve().parents[2]
FLOWS = {flow.name: flow for flow in (pipeline, nightly, dataset, training, compression, modifiers, routing, release, retraining)}
ANCHORS = "definitions"  # holds YAML anchors for this file alone


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    return loaded


def flow_name(deployment: dict[str, Any]) -> str:
    return str(deployment["entrypoint"].rsplit(".", 1)[1])


def full_name(deployment: dict[str, Any]) -> str:
    return f"{flow_name(deployment)}/{deployment['name']}"


def ignored(content: dict[str, Any]) -> Iterator[str]:
    """Keys that Prefect's own models do not have: `prefect deploy` drops them without a word."""

    def extra(given: dict[str, Any], model: Any, where: str) -> Iterator[str]:
        known = {name for field, info in model.model_fields.items() for name in (field, info.alias)}
        yield from (f"{where}.{key}" for key in given if key not in known)

    yield from extra({key: value for key, value in content.items() if key != ANCHORS}, PrefectYamlModel, "file")
    for deployment in content["deployments"]:
        where = full_name(deployment)
        yield from extra(deployment, DeploymentConfig, where)
        yield from extra(deployment["work_pool"], WorkPoolConfig, f"{where}.work_pool")
        yield from extra(deployment.get("concurrency_limit", {}), ConcurrencyLimitSpec, f"{where}.concurrency_limit")
        for schedule in deployment.get("schedules", []):
            yield from extra(schedule, RawScheduleConfig, f"{where}.schedules")


def test_prefect_reads_every_key() -> None:
    content = document()
    PrefectYamlModel.model_validate(content)
    assert list(ignored(content)) == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ((), "deployment"),
        (("deployments", 0), "work_queue_name"),
        (("deployments", 0, "work_pool"), "queue"),
        (("deployments", 3, "concurrency_limit"), "strategy"),
        (("deployments", 3, "schedules", 0), "zone"),
    ],
)
def test_a_slip_of_the_pen_would_be_found(path: tuple[str | int, ...], key: str) -> None:
    content = document()
    node: Any = content
    for part in path:
        node = node[part]
    node[key] = "x"
    assert {name.rsplit(".", 1)[1] for name in ignored(content)} == {key}


def test_every_deployment_that_dispatch_and_people_need_is_there() -> None:
    names = [full_name(deployment) for deployment in document()["deployments"]]
    assert len(names) == len(set(names))
    assert {f"pipeline/{profile}" for profile in available()} <= set(names)
    assert {"nightly/nano", "nightly/llama-8b"} <= set(names)
    for profile in available():
        pools = load(profile).pools.model_dump()
        if profile == "nano":
            pools |= {"training": "gpu", "compression": "gpu"}  # the overrides of pipeline/nano
        needed = {f"{phase}/{pools[phase]}" for phase in PHASES} | {f"retraining/{pools['modifiers']}"}
        assert {name for name in needed if not name.endswith("/local")} <= set(names)


def test_every_deployment_tells_what_it_is() -> None:
    for deployment in document()["deployments"]:
        assert len(deployment["description"]) > 60, full_name(deployment)
        assert deployment["tags"], full_name(deployment)
        spends = "**Spends money**" in deployment["description"] or "phase" in deployment["tags"]
        assert "spends" not in deployment["tags"] or spends, full_name(deployment)


@pytest.mark.parametrize("name", FLOWS)
def test_the_run_form_explains_every_parameter(name: str) -> None:
    schema = parameter_schema(FLOWS[name])
    for parameter, described in schema.properties.items():
        assert len(described.get("description") or "") > 20, f"{name}: {parameter}"


def test_artifacts_and_profiles_can_be_given_by_name() -> None:
    properties = parameter_schema(training).properties
    for parameter in ("dataset", "questions", "profile"):
        assert {"type": "string"} in properties[parameter]["anyOf"], "a person types a digest or a name; a pipeline gives the whole"


@pytest.fixture(scope="module")
def deployed(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, DeploymentResponse]:
    """Everything deployed to a real server, by the command of the README: what the server then holds."""
    asyncio.run(preparing.prepare())
    deploy(tmp_path_factory.mktemp("home"))
    return held_by_server()


def deploy(home: Path) -> None:
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "COGUMI_HOME": str(home)}
    done = subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def held_by_server() -> dict[str, DeploymentResponse]:
    with get_client(sync_client=True) as client:
        return {full_name(deployment): client.read_deployment_by_name(full_name(deployment)) for deployment in document()["deployments"]}


@pytest.mark.parametrize("deployment", document()["deployments"], ids=full_name)
def test_the_server_holds_what_the_file_says(deployed: dict[str, DeploymentResponse], deployment: dict[str, Any]) -> None:
    held = deployed[full_name(deployment)]
    assert held.entrypoint == deployment["entrypoint"]
    assert held.description == deployment["description"]
    assert sorted(held.tags) == sorted(deployment["tags"])
    assert held.parameters == deployment.get("parameters", {})
    assert (held.work_pool_name, held.work_queue_name) == (deployment["work_pool"]["name"], deployment["work_pool"]["work_queue_name"])
    assert held.enforce_parameter_schema
    assert held.pull_steps == [{"blocks.code_version.check": {"deployed": code_version()}}], "and not the folder of whoever deployed"
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", held.version or "")
    limit = deployment.get("concurrency_limit")
    if limit is None:
        assert held.global_concurrency_limit is None
    else:
        assert held.global_concurrency_limit is not None
        assert held.global_concurrency_limit.limit == limit["limit"]
        assert held.concurrency_options is not None
        assert held.concurrency_options.collision_strategy.value == limit["collision_strategy"]
    schedules = [(each.slug, each.active, each.schedule.model_dump(include={"cron", "timezone"})) for each in held.schedules]
    assert schedules == [(each["slug"], each["active"], {"cron": each["cron"], "timezone": each["timezone"]}) for each in deployment.get("schedules", [])]


def test_the_deployments_carry_this_code(deployed: dict[str, DeploymentResponse]) -> None:
    assert {held.version for held in deployed.values()} == {code_version()}


def test_the_server_refuses_parameters_that_the_form_would_refuse(deployed: dict[str, DeploymentResponse]) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    with get_client(sync_client=True) as client, pytest.raises(PrefectHTTPStatusError, match=r"until|cooking|Validation"):
        client.create_flow_run_from_deployment(deployed["pipeline/nano"].id, parameters={"until": "cooking"})


@pytest.mark.all
def test_deployed_again_nothing_is_doubled(deployed: dict[str, DeploymentResponse], tmp_path: Path) -> None:
    deploy(tmp_path)
    again = held_by_server()
    for name, before in deployed.items():
        assert again[name].id == before.id
        assert [(each.slug, each.id) for each in again[name].schedules] == [(each.slug, each.id) for each in before.schedules]

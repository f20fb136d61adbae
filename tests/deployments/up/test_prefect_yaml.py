"""prefect.yaml: nothing in it that Prefect ignores, and a real server holds afterwards what it says."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.utilities.callables import parameter_schema

from configs.schema import available, load
from flows.compression import compression
from flows.dataset import dataset
from flows.modifiers import modifiers
from flows.nightly import nightly
from flows.phases import PHASES
from flows.pipeline import pipeline
from flows.release import release
from flows.retraining import retraining
from flows.routing import routing
from flows.training import training
from tests.places import ROOT

FLOWS = {
    flow.name: flow
    for flow in (pipeline, nightly, dataset, training, compression, modifiers, routing, release, retraining)
}
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
        needed = {f"{phase.name}/{pools[phase.name]}" for phase in PHASES} | {f"retraining/{pools['modifiers']}"}
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
        assert {"type": "string"} in properties[parameter]["anyOf"], (
            "a person types a digest or a name; a pipeline gives the whole"
        )

"""Which of its environment a worker hands to a run."""

from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.workers.process import ProcessJobConfiguration

from deployments.up import worker_command
from tests.deployments.up.test_prefect_yaml import document

OURS = [{worker_command.PULL: {"deployed": "x"}}]


def deployment(entrypoint: str, pull_steps: list[dict[str, object]] | None) -> DeploymentResponse:
    return DeploymentResponse.model_construct(
        id=uuid4(), name="gpu", labels={}, entrypoint=entrypoint, pull_steps=pull_steps
    )


def test_every_flow_of_ours_that_may_ask_teachers_and_no_other_is_known() -> None:
    spending = {each["entrypoint"] for each in document()["deployments"] if "spends" in each["tags"]}
    assert spending == worker_command.ASKING


def test_code_of_somebody_else_is_none_of_ours() -> None:
    assert worker_command.asks(deployment("flows.dataset.dataset", OURS))
    assert not worker_command.asks(deployment("flows.training.training", OURS))
    assert not worker_command.asks(deployment("flows/dataset.py:dataset", OURS))
    assert not worker_command.asks(
        deployment("flows.dataset.dataset", [*OURS, {"prefect.deployments.steps.run_shell_script": {"script": "env"}}])
    )
    assert not worker_command.asks(
        deployment(
            "flows.dataset.dataset", [{**OURS[0], "prefect.deployments.steps.run_shell_script": {"script": "env"}}]
        )
    )
    assert not worker_command.asks(None)


def test_keys_go_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessJobConfiguration, "prepare_for_flow_run", ProcessJobConfiguration.prepare_for_flow_run)
    worker_command.keep_keys()
    for name in ("OPENAI_API_KEY", "MY_OWN_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "canary")
    asked, other = ProcessJobConfiguration(), ProcessJobConfiguration()
    run = FlowRun(id=uuid4(), flow_id=uuid4(), name="quiet-otter")
    asked.prepare_for_flow_run(run, deployment("flows.modifiers.modifiers", OURS))
    other.prepare_for_flow_run(run, deployment("flows.compression.compression", OURS))
    assert [asked.env.get(name) for name in ("OPENAI_API_KEY", "MY_OWN_API_KEY", "HF_TOKEN")] == ["canary"] * 3
    assert [other.env.get(name) for name in ("OPENAI_API_KEY", "MY_OWN_API_KEY", "HF_TOKEN")] == [None, None, "canary"]

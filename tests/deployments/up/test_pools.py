"""The pools' base job templates: what Prefect's own workers make of them, and what Docker and Kubernetes would say to
that."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import jsonschema
import kubernetes_validate
import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.utilities.collections import set_in_dict
from prefect.utilities.templating import find_placeholders
from prefect.workers.base import BaseJobConfiguration
from prefect.workers.process import ProcessJobConfiguration
from prefect_docker.worker import DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from configs.errors import BadInput
from deployments.up import worker_command
from tests.places import ROOT

POOLS = ROOT / "deployments" / "pools"
CONFIGURATIONS: dict[str, type[BaseJobConfiguration]] = {
    "process": ProcessJobConfiguration,
    "docker": DockerWorkerJobConfiguration,
    "kubernetes": KubernetesWorkerJobConfiguration,
}
SECRET = "sk-not-to-be-seen"


def template(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((POOLS / f"{kind}.json").read_text())
    return loaded


def configured(kind: str, fixed: dict[str, Any] | None = None, **defaults: Any) -> Any:
    """The job that a worker of this kind would start for a flow run, on a pool whose template has these defaults, and
    ``fixed`` in its job."""
    made_from = template(kind)
    for name, value in defaults.items():
        made_from["variables"]["properties"][name]["default"] = value
    for path, value in (fixed or {}).items():
        set_in_dict(made_from["job_configuration"], path, value)
    made = asyncio.run(CONFIGURATIONS[kind].from_template_and_values(made_from, {"fresh": "1"}))
    made.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="quiet-otter"))
    return made


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_every_placeholder_is_a_variable_and_every_variable_is_used(kind: str) -> None:
    made = template(kind)
    used = {found.name for found in find_placeholders(made["job_configuration"])}
    assert used == set(made["variables"]["properties"])


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_a_server_takes_the_template(kind: str, prefect_server: None) -> None:
    pool = WorkPoolCreate(name=f"template-{kind}", type=kind, base_job_template=template(kind))
    with get_client(sync_client=True) as client:
        try:
            assert client.create_work_pool(pool).type == kind
        finally:
            client.delete_work_pool(pool.name)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_every_variable_is_described_and_its_default_is_of_its_type(kind: str) -> None:
    variables = template(kind)["variables"]
    jsonschema.Draft202012Validator.check_schema(variables)
    for name, variable in variables["properties"].items():
        assert variable["title"], name
        assert variable["description"].endswith("."), name
        jsonschema.validate(variable["default"], variable)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_nothing_that_the_worker_would_ignore(kind: str) -> None:
    assert set(template(kind)["job_configuration"]) <= set(CONFIGURATIONS[kind].model_fields)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_runs_set_sizes_and_times_and_nothing_that_runs_or_is_run(kind: str) -> None:
    sizes = {
        "cpu_request",
        "cpu_limit",
        "memory_request",
        "memory_limit",
        "gpu_limit",
        "mem_limit",
        "shared_memory",
        "process_limit",
        "scratch",
    }
    times = {"finished_job_ttl", "job_watch_timeout_seconds", "pod_watch_timeout_seconds"}
    variables = template(kind)["variables"]
    assert variables["additionalProperties"] is False, "or the server takes what is not offered"
    assert set(variables["properties"]) <= {"fresh"} | sizes | times
    for name, value in (
        ("fresh", "{{ $OPENAI_API_KEY }}"),
        ("mem_limit", "{{ $OPENAI_API_KEY }}"),
        ("memory_limit", "64 Gi"),
        ("scratch", "{{ prefect.blocks.secret.x }}"),
    ):
        if name in variables["properties"]:
            with pytest.raises(BadInput, match=f"job variable {name}"):
                worker_command.check(template(kind), {name: value})


@pytest.mark.parametrize("kind", CONFIGURATIONS)
@pytest.mark.parametrize(
    "name",
    [
        "command",
        "env",
        "env.PYTHONPATH",
        "working_dir",
        "image",
        "volumes",
        "labels",
        "name",
        "entrypoint",
        "job_manifest.spec",
        "cluster_config",
        "no.such",
    ],
)
def test_what_is_not_offered_is_refused_by_the_worker(kind: str, name: str) -> None:
    with pytest.raises(BadInput, match="is not for runs to set; this pool offers"):
        worker_command.check(template(kind), {name: {}})


def test_what_is_offered_is_taken() -> None:
    for kind in CONFIGURATIONS:
        worker_command.check(template(kind), {"fresh": "1"})
    worker_command.check(
        template("kubernetes"),
        {"memory_limit": "64Gi", "cpu_request": "500m", "gpu_limit": None, "finished_job_ttl": 60},
    )


@pytest.mark.usefixtures("prefect_server")
class TestKubernetes:
    """The manifest, against Kubernetes' own schema with unknown fields forbidden."""

    def manifest(self, fixed: dict[str, Any] | None = None, **defaults: Any) -> dict[str, Any]:
        made: dict[str, Any] = configured("kubernetes", fixed, **defaults).job_manifest
        pod = made["spec"]["template"]["spec"]
        assert (pod.pop("parallelism"), pod.pop("completions")) == (
            1,
            1,
        )  # Prefect refuses a manifest without them; Kubernetes ignores them here
        kubernetes_validate.validate(made, "1.33", strict=True)
        return made

    def test_a_gpu_run(self) -> None:
        pod = self.manifest({"job_manifest.spec.template.spec.nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}})[
            "spec"
        ]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        assert mounts["/dev/shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}

    def test_a_run_without_gpu_and_without_limits(self) -> None:
        (container,) = self.manifest(gpu_limit=None, memory_limit=None)["spec"]["template"]["spec"]["containers"]
        assert container["resources"].get("limits", {}) == {}

    def test_the_runs_environment_and_command_are_prefects_and_the_templates(self) -> None:
        (container,) = self.manifest()["spec"]["template"]["spec"]["containers"]
        environment = {each["name"]: each["value"] for each in container["env"]}
        assert environment["PREFECT_HOME"] == "/var/lib/cogumi/prefect"
        assert environment["COGUMI_FRESH"] == "1"
        assert container["args"][-2:] == ["flow-run", "execute"]

    def test_secrets_are_named_and_never_copied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        made = self.manifest()
        (container,) = made["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "cogumi-keys", "optional": True}}]
        assert SECRET not in json.dumps(made)

    def test_it_runs_as_nobody_in_particular(self) -> None:
        pod = self.manifest()["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.usefixtures("prefect_server")
class TestDocker:
    """The container, against docker-py, which refuses arguments it does not know."""

    def arguments(self, fixed: dict[str, Any] | None = None, **defaults: Any) -> dict[str, Any]:
        from docker.models.containers import _create_container_args

        made = configured("docker", fixed, **defaults)
        extra: dict[str, Any] = made.container_create_kwargs
        plain = {
            "image": made.image,
            "environment": made.env,
            "volumes": made.volumes,
            "mem_limit": made.mem_limit,
            "auto_remove": made.auto_remove,
            "version": "1.47",
        }
        arguments: dict[str, Any] = _create_container_args({**plain, **extra})
        return arguments

    def test_gpu_shared_memory_and_no_privileges(self) -> None:
        host = self.arguments(mem_limit="64g")["host_config"]
        (device,) = host["DeviceRequests"]
        assert (device["Driver"], device["Count"], device["Capabilities"]) == ("nvidia", 1, [["gpu"]])
        assert host["ShmSize"] == 8 * 2**30
        assert host["Memory"] == 64 * 2**30
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert not host.get("Privileged")

    def test_state_lies_in_the_container_and_a_run_may_add_to_the_environment(self) -> None:
        environment = self.arguments()["environment"]
        assert environment["PREFECT_HOME"] == "/var/lib/cogumi/prefect"
        assert environment["COGUMI_FRESH"] == "1"

    def test_a_cpu_pool_asks_for_no_gpu(self) -> None:
        assert (
            self.arguments({"container_create_kwargs.device_requests": []})["host_config"].get("DeviceRequests", [])
            == []
        )

    def test_keys_are_the_worker_hosts_and_not_in_the_template(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            DockerWorkerJobConfiguration, "prepare_for_flow_run", DockerWorkerJobConfiguration.prepare_for_flow_run
        )
        worker_command.furnish_containers()
        for name in ("OPENAI_API_KEY", "COGUMI_STORE", "SOMETHING_ELSE"):
            monkeypatch.setenv(name, SECRET)
        made = asyncio.run(DockerWorkerJobConfiguration.from_template_and_values(template("docker"), {}))
        run, ours = FlowRun(id=uuid4(), flow_id=uuid4(), name="quiet-otter"), [{worker_command.PULL: {"deployed": "x"}}]
        given = {}
        for flow in ("flows.modifiers.modifiers", "flows.compression.compression"):
            one = made.model_copy()
            one.prepare_for_flow_run(
                run,
                DeploymentResponse.model_construct(id=uuid4(), name="gpu", labels={}, entrypoint=flow, pull_steps=ours),
            )
            given[flow] = {name for name, value in one.env.items() if value == SECRET}
        assert given == {
            "flows.modifiers.modifiers": {"OPENAI_API_KEY", "COGUMI_STORE"},
            "flows.compression.compression": {"COGUMI_STORE"},
        }


def test_the_queues_leave_slots_for_phases() -> None:
    """A pipeline holds a slot while it waits for its phases: were all slots pipelines, nothing would ever move."""
    pools = yaml.safe_load((POOLS / "pools.yaml").read_text())
    cpu = pools["cpu"]
    waiting = sum(queue["limit"] for name, queue in cpu["queues"].items() if name != "default")
    assert 0 < waiting < cpu["limit"]
    assert pools["gpu"]["limit"] == 1, "one run per GPU"


def test_the_images_of_the_templates_are_those_that_are_built_here() -> None:
    version = (POOLS.parents[1] / "pyproject.toml").read_text().split('version = "')[1].split('"')[0]
    assert template("docker")["job_configuration"]["image"] == f"cogumi-gpu:{version}"
    (container,) = template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"cogumi-gpu:{version}"
    for name in ("cpu", "gpu"):
        assert f"-t cogumi-{name}:{version} ." in (POOLS.parent / "images" / f"{name}.Dockerfile").read_text()

"""``prefect worker start`` as `cogumi up` and the images run it: it takes from a run only what its pool offers.

Prefect's worker merges ``env`` of a run's job variables into the job whether the pool's template offers it or not, and
hands its whole environment to every run. Here a run that sets what is not offered is refused, and keys of teachers go
to the flows that ask teachers. That keeps mistakes and other programs off; whoever has the server's login may still
deploy code of their own. Not here: the templates (pools/).
"""

import os
import runpy
import sys
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from configs.errors import BadInput
from flows.phases import PHASES

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

ASKING = {phase.entrypoint for phase in PHASES if phase.asked} | {
    f"flows.{flow}.{flow}" for flow in ("pipeline", "nightly", "retraining")
}
PULL = "blocks.prefect.code_version.check"
CARRIED = (
    "COGUMI_STORE",
    "COGUMI_JOURNAL",
    "HF_TOKEN",
)  # from the worker's environment into every container of its own


def refuse_what_is_not_offered() -> None:
    """Let every worker of this process look at job variables before it uses them."""
    from prefect.workers.base import BaseJobConfiguration

    original: Any = BaseJobConfiguration.from_template_and_values
    original = original.__func__  # of every kind of worker

    @wraps(original)
    async def checked(
        cls: type[BaseJobConfiguration], base_job_template: dict[str, Any], values: dict[str, Any], **named: Any
    ) -> Any:
        check(base_job_template, values)
        return await original(cls, base_job_template, values, **named)

    BaseJobConfiguration.from_template_and_values = classmethod(checked)  # type: ignore[assignment]


def check(template: dict[str, Any], values: dict[str, Any]) -> None:
    """Compare a run's job variables with what its pool offers.

    Raises:
        BadInput: a variable that is not offered, also a part of one as ``env.NAME``, or a value that its schema
            forbids.
    """
    import jsonschema

    offered = template.get("variables", {}).get("properties", {})
    for name in values:
        if name.partition(".")[0] not in offered:
            raise BadInput(
                f"job variable {name!r} is not for runs to set; this pool offers "
                f"{', '.join(sorted(offered)) or 'none'}. Its job template says the rest"
            )
    schema = {**template.get("variables", {}), "required": []}
    if error := next(
        jsonschema.Draft202012Validator(schema).iter_errors(
            {name: value for name, value in values.items() if "." not in name}
        ),
        None,
    ):
        raise BadInput(f"job variable {'.'.join(map(str, error.path))}: {error.message[:200]}")


def keep_keys() -> None:
    """Let a process of this worker have the keys of teachers only where its flow asks teachers."""
    from prefect.workers.process import ProcessJobConfiguration

    original = ProcessJobConfiguration.prepare_for_flow_run

    @wraps(original)
    def prepared(
        self: ProcessJobConfiguration,
        flow_run: Any,
        deployment: "DeploymentResponse | None" = None,
        *rest: Any,
        **named: Any,
    ) -> None:
        original(self, flow_run, deployment, *rest, **named)
        if not asks(deployment):
            self.env = {**self.env, **dict.fromkeys(keys())}

    ProcessJobConfiguration.prepare_for_flow_run = prepared  # type: ignore[method-assign]


def furnish_containers() -> None:
    """Let a Docker worker's containers have what its own environment says of store, journal and keys: a container has
    nothing of it otherwise, and the pool's template lies on the server, which shall not know them."""
    from prefect_docker.worker import DockerWorkerJobConfiguration

    original = DockerWorkerJobConfiguration.prepare_for_flow_run

    @wraps(original)
    def prepared(
        self: DockerWorkerJobConfiguration,
        flow_run: Any,
        deployment: "DeploymentResponse | None" = None,
        *rest: Any,
        **named: Any,
    ) -> None:
        original(self, flow_run, deployment, *rest, **named)
        carried = {*CARRIED, *(keys() if asks(deployment) else ())}
        self.env = {**self.env, **{name: os.environ[name] for name in sorted(carried) if name in os.environ}}

    DockerWorkerJobConfiguration.prepare_for_flow_run = prepared


def asks(deployment: "DeploymentResponse | None") -> bool:
    """Whether this is one of our flows that ask teachers, fetched as ours are."""
    return (
        deployment is not None
        and deployment.entrypoint in ASKING
        and all(set(step) == {PULL} for step in deployment.pull_steps or [])
    )


def keys() -> set[str]:
    """The environment variables that hold keys of teachers: those of every profile that comes with Cogumi, and those
    called like them."""
    from configs.schema import available, load

    named = {
        teacher.key_env for name in available() for teacher in load(name).teachers.models.values() if teacher.key_env
    }
    return named | {name for name in os.environ if name.endswith("_API_KEY") and not name.startswith("PREFECT_")}


if __name__ == "__main__":
    refuse_what_is_not_offered()
    keep_keys()
    if find_spec("prefect_docker") is not None:
        furnish_containers()
    sys.argv[:1] = ["prefect"]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)

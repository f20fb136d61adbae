"""The one place that decides where a phase runs: in this process, or on a work pool through its deployment.

A phase ``training`` on pool ``gpu`` is the deployment ``training/gpu``. The flow's own code is the same in both.
Not here: pools, workers and deployments themselves (deployments/), caching and retries (tasks/step.py).
"""

import logging
import os
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun, WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, TypeAdapter

from blocks import errors
from blocks.errors import BadInput, CogumiError, Transient

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("cogumi.dispatch")
LOCAL = "local"
_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CogumiError)}
_RAISED = re.compile(rf"(?:^|[\s.])(?P<name>{'|'.join(_ERRORS)}): (?P<message>.*)", re.DOTALL)


def dispatch(phase: Callable[P, R], pool: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``phase`` where ``pool`` says and return its result.

    Raises:
        BadInput: there is no such pool or deployment.
        CogumiError: what the phase raised, the same class with the same message, wherever it ran.
        Transient: the remote run crashed or was cancelled.
    """
    if pool == LOCAL:
        return phase(*args, **kwargs)
    flow = cast(Flow[P, R], phase)
    name = f"{flow.name}/{pool}"
    _check(name, pool)
    parameters = {key: _plain(value) for key, value in _bound(flow, args, kwargs).items()}
    log.info("%s: running on pool %s", flow.name, pool)
    fresh = {"env": {"COGUMI_FRESH": "1"}} if os.environ.get("COGUMI_FRESH") else None
    run = cast(FlowRun, run_deployment(name, parameters=parameters, as_subflow=True, job_variables=fresh, poll_interval=1))
    if run.state is None or not run.state.is_completed():
        raise failure(flow.name, pool, run)
    result_type: TypeAdapter[R] = TypeAdapter(get_type_hints(flow.fn)["return"])
    return result_type.validate_python(_plain(run.state.result()))


def failure(phase: str, pool: str, run: FlowRun) -> CogumiError:
    """The error that a finished, not completed remote run stands for."""
    message = (run.state.message if run.state else None) or "no message"
    if run.state is not None and run.state.is_failed():
        found = _RAISED.search(message)
        if found:
            return _ERRORS[found["name"]](found["message"].strip())
        return CogumiError(f"phase {phase} on pool {pool} failed: {message}")
    state = run.state.name if run.state else "unknown"
    return Transient(f"phase {phase} on pool {pool} ended as {state}: {message}")


def _bound(flow: Flow[Any, Any], args: Any, kwargs: Any) -> dict[str, Any]:
    import inspect

    bound = inspect.signature(flow.fn).bind(*args, **kwargs)
    return dict(bound.arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _check(deployment: str, pool: str) -> None:
    """Say clearly what is missing before anything waits for it."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_work_pool(pool)
        except ObjectNotFound:
            raise BadInput(f"there is no work pool {pool!r}; `cogumi up` makes the pools of prefect.yaml, or set pools.<phase>={LOCAL}") from None
        try:
            client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            raise BadInput(f"there is no deployment {deployment!r}; `cogumi up` or `prefect deploy --all` makes it") from None
        if found.is_paused:
            log.warning("work pool %s is paused; resume it with: prefect work-pool resume %s", pool, pool)
        elif found.status != WorkPoolStatus.READY:
            log.warning("waiting: no worker serves pool %s; start one with: prefect worker start --pool %s", pool, pool)

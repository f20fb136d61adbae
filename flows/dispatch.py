"""The one place that decides where a phase runs: in this process, or on a work pool through its deployment.

A phase ``training`` on pool ``gpu`` is the deployment ``training/gpu``. The flow's own code is the same in both.
Not here: the waiting for it (waiting.py), pools, workers and deployments themselves (deployments/), caching and retries
(tasks/step.py).
"""

import inspect
import logging
import os
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.results import ResultRecordMetadata
from pydantic import BaseModel, TypeAdapter, ValidationError

from blocks.prefect.code_version import code_version, compare, deploying, release
from blocks.storage import results
from configs import errors
from configs.errors import BadInput, CogumiError, DamagedArtifact, Transient
from flows.phases import LOCAL
from flows.waiting import Waiting

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("cogumi.dispatch")
LOST_WORKERS = 2  # times that one phase is submitted again after its worker was lost
_ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CogumiError)
}
_RAISED = re.compile(rf"(?:^|[\s.])(?P<name>{'|'.join(_ERRORS)}): (?P<message>.*)", re.DOTALL)


def dispatch(phase: Callable[P, R], pool: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run ``phase`` where ``pool`` says and return its result. A run whose worker was lost is submitted again: finished
    steps are cached.

    Raises:
        BadInput: there is no such pool or deployment, or the deployment is of another version of this code.
        CogumiError: what the phase raised, the same class with the same message, wherever it ran.
        Transient: the remote run was cancelled, or its worker was lost again and again.
    """
    flow = cast(Flow[P, R], phase)
    result_type: TypeAdapter[R] = TypeAdapter(get_type_hints(flow.fn)["return"])
    if pool == LOCAL:
        return _typed(
            result_type, flow.name, phase(*args, **kwargs)
        )  # plain JSON where a run that began again takes it from its first go
    name = f"{flow.name}/{pool}"
    if warning := compare_code(name, deployed(name, pool)):
        log.warning("%s", warning)
    parameters = {key: _plain(value) for key, value in _bound(flow, args, kwargs).items()}
    fresh = _fresh(pool) if os.environ.get("COGUMI_FRESH") else None
    log.info("%s: running on pool %s", flow.name, pool)
    for left in reversed(range(LOST_WORKERS + 1)):
        run = Waiting(_submit(name, parameters, fresh), pool).end()
        if run.state is not None and run.state.is_completed():
            break
        error = failure(flow.name, pool, run)
        if not left or run.state is None or not run.state.is_crashed():
            raise error
        log.warning("%s; submitted again, finished steps come from the cache", error)
    return _typed(result_type, flow.name, _result(run))


def _typed(result_type: TypeAdapter[R], phase: str, result: Any) -> R:
    try:
        return result_type.validate_python(result)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise DamagedArtifact(
            f"the result of phase {phase} is not of its type ({where}: {wrong['msg']}); run again to make it anew"
        ) from None


def _fresh(pool: str) -> dict[str, Any]:
    """The job variables by which a run of this pool does every step again.

    Raises:
        BadInput: the pool's job template offers none.
    """
    with get_client(sync_client=True) as client:
        offered = client.read_work_pool(pool).base_job_template.get("variables", {}).get("properties", {})
    if "fresh" in offered:
        return {"fresh": "1"}
    if "env" in offered:  # a template of somebody else, or of an older version
        return {"env": {"COGUMI_FRESH": "1"}}
    raise BadInput(
        f"the job template of work pool {pool} offers neither `fresh` nor `env`, so --fresh does not reach it; those "
        "of deployments/pools offer it"
    )


def _submit(deployment: str, parameters: dict[str, Any], job_variables: dict[str, Any] | None) -> FlowRun:
    try:
        return cast(
            FlowRun,
            run_deployment(deployment, parameters=parameters, as_subflow=True, job_variables=job_variables, timeout=0),
        )
    except PrefectHTTPStatusError as error:
        if error.response.status_code not in (409, 422):
            raise
        reason = " ".join(error.response.text.split())[:300]
        raise BadInput(
            f"deployment {deployment} does not take these parameters ({reason}); it is of other code than this: run "
            f"`{deploying()}`"
        ) from None


def _result(run: FlowRun) -> Any:
    """What the remote run returned, from the store that both machines share; wherever else the server says that it lies
    is not looked at."""
    kept = run.state.data if run.state is not None else None
    if isinstance(kept, ResultRecordMetadata) and kept.storage_key is not None:
        return results.value(kept.storage_key)
    raise DamagedArtifact(
        f"run {run.name} ended well and left no result in the store; do the machines run the same Cogumi? Run again"
    )


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
    bound = inspect.signature(flow.fn).bind(*args, **kwargs)
    return dict(bound.arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def deployed(deployment: str, pool: str) -> str:
    """The code version of a deployment that is there; "" where it says none.

    Raises:
        BadInput: there is no such pool or deployment.
    """
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            there = ", ".join(sorted(found.name for found in client.read_work_pools())) or "none"
            raise BadInput(
                f"there is no work pool {pool!r}; there are: {there}. `cogumi up` makes those of deployments/pools; or "
                f"set pools.<phase>={LOCAL}"
            ) from None
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound:
            raise BadInput(
                f"there is no deployment {deployment!r}; `{deploying()}` makes those of prefect.yaml"
            ) from None
    return found.version or ""


def compare_code(deployment: str, theirs: str) -> str | None:
    """Refuse a deployment of another version of Cogumi; a warning where it was made from other code of the same
    version.

    Raises:
        BadInput: says which of the two is older, and what to run.
    """
    ours, how = code_version(), compare(theirs)
    if how == "older":
        raise BadInput(
            f"deployment {deployment} is of version {release(theirs)}, older than this code ({release(ours)}): update "
            f"the workers, then `{deploying()}` from this code"
        )
    if how == "newer":
        raise BadInput(
            f"this code is of version {release(ours)}, older than deployment {deployment} ({release(theirs)}): update "
            f"this code, or `{deploying()}` from it"
        )
    if how == "other":
        return (
            f"deployment {deployment} was made from other code of the same version ({theirs}, here {ours}); "
            f"`{deploying()}` makes it new"
        )
    if how == "unknown":
        return f"deployment {deployment} does not say which code it was made from; `{deploying()}` makes it new"
    return None

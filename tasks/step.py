"""``step``: the one decorator around Prefect's ``task``. It alone decides on caching, retries and recording.

Cache key: step name, version, and the digests of every argument (artifacts by digest, settings by identity, so that
runtime-only fields do not count); never the run id. Results are plain JSON. A cached reference is checked against the
files before it is believed; a damaged one is made again. Not here: what a step does, and where it runs (flows/dispatch.py).
"""

import fcntl
import functools
import hashlib
import inspect
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from prefect import task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.context import FlowRunContext
from prefect.tasks import exponential_backoff
from pydantic import BaseModel, TypeAdapter

from blocks import store
from blocks.errors import BadInput, DamagedArtifact, Transient
from blocks.home import home
from blocks.records import Artifact
from configs.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("cogumi.step")
RETRIES = 3
EVERY_RUN = " (every run)"  # how the task runs end in name that are never taken from the cache; a tag would cost a request each


def step(*, version: int, cache: bool = True) -> Callable[[Callable[P, R]], "Step[P, R]"]:
    """Make a function a step. Raise ``version`` when the same inputs should give another result than before.

    ``cache=False`` is for steps whose work is outside the store (a gate that must speak every time).
    """

    def wrap(function: Callable[P, R]) -> Step[P, R]:
        return Step(function, version, cache)

    return wrap


class Step(Generic[P, R]):
    """A callable step. ``fn`` is the plain function, for tests and for use without Prefect."""

    def __init__(self, function: Callable[P, R], version: int, cache: bool) -> None:
        functools.update_wrapper(self, function)
        self.fn, self.version, self.cache = function, version, cache
        self.name = function.__name__
        self.result_type: TypeAdapter[R] = TypeAdapter(get_type_hints(function)["return"])
        decorate = task(
            name=self.name,
            description=(function.__doc__ or "").split("\n")[0],
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, inputs: str(inputs["key"])) if cache else NO_CACHE,
            persist_result=cache,
            result_serializer="json",
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_is_transient,
            task_run_name=self.name + ("-{key:.12}" if cache else EVERY_RUN),
            cache_result_in_memory=False,
        )
        self._task = decorate(_run_call)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The cache key of a call (hex with the step's name and version in front)."""
        bound = inspect.signature(self.fn).bind(*args, **kwargs)
        bound.apply_defaults()
        described = json.dumps({name: _identity(value, self.name, name) for name, value in bound.arguments.items()}, sort_keys=True)
        return hashlib.sha256(f"{self.name} v{self.version} {described}".encode()).hexdigest()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run inside a flow: from the cache when it can be believed, otherwise for real. Outside a flow: plainly."""
        if FlowRunContext.get() is None:
            return self.fn(*args, **kwargs)
        key = self.key(*args, **kwargs)
        started = time.monotonic()
        fresh = bool(os.environ.get("COGUMI_FRESH"))
        with _only_one(key):
            result, ran = self._run(key, args, kwargs, refresh=fresh)
            if not ran:
                try:
                    for artifact in _artifacts(result):
                        store.verify(artifact)
                except DamagedArtifact as damage:
                    log.warning("%s: cached result not believed (%s); made again", self.name, damage)
                    result, ran = self._run(key, args, kwargs, refresh=True)
        shown = " ".join(artifact.short for artifact in _artifacts(result))
        log.info("%-22s %-6s %7.1f s  %s", self.name, "ran" if ran else "cached", time.monotonic() - started, shown)
        return result

    def _run(self, key: str, args: Any, kwargs: Any, refresh: bool) -> tuple[R, bool]:
        made: list[bool] = []
        bound = self._task.with_options(refresh_cache=refresh) if refresh and self.cache else self._task
        plain = bound(key=key, call=Call(self.fn, args, kwargs, made, self.name, self.result_type))
        return self.result_type.validate_python(plain), bool(made)


class Call:
    """One call on its way through Prefect, which shall neither look into the arguments nor store them."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, made: list[bool], name: str, result_type: TypeAdapter[Any]) -> None:
        self.function, self.args, self.kwargs, self.made, self.name, self.result_type = function, args, kwargs, made, name, result_type

    def run(self) -> Any:
        """Run the function; the result as plain JSON data."""
        self.made.append(True)
        token = store.current_step.set(self.name)
        try:
            return self.result_type.dump_python(self.function(*self.args, **self.kwargs), mode="json")
        finally:
            store.current_step.reset(token)


def _run_call(key: str, call: Call) -> Any:
    """What Prefect runs. ``key`` is the cache key and names the task run."""
    return call.run()


def _is_transient(task: Any, run: Any, state: Any) -> bool:
    """Retry only what can pass by itself."""
    try:
        state.result()
    except (Transient, ConnectionError, TimeoutError):
        return True
    except Exception:
        return False
    return False


def _identity(value: Any, step: str, name: str) -> Any:
    if isinstance(value, Artifact):
        return f"{value.kind}:{value.digest}"
    if isinstance(value, Settings):
        return value.identity()
    if isinstance(value, BaseModel):
        return {field: _identity(getattr(value, field), step, name) for field in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): _identity(item, step, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_identity(item, step, name) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise BadInput(f"step {step}: argument {name} is a {type(value).__name__}; pass artifacts, settings or plain values")


def _artifacts(value: Any) -> Iterator[Artifact]:
    """Every artifact inside a result."""
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _artifacts(getattr(value, field))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _artifacts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _artifacts(item)


@contextmanager
def _only_one(key: str) -> Iterator[None]:
    """Hold the step's lock, so that the same inputs never run twice at once. The kernel frees it when a process dies."""
    folder = os.path.join(home() if "://" in store.location() else store.location(), "locks")
    try:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(os.path.join(folder, key), os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}; set COGUMI_STORE or COGUMI_HOME to a writable place") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

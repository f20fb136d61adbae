"""``step``: the one decorator around Prefect's ``task``. It alone decides on caching, retries and recording.

Cache key: step name, version, and the digests of every argument (artifacts by digest, settings by identity, so that
runtime-only fields do not count); never the run id. Results are plain JSON. A cached reference is checked against the
files before it is believed; a damaged one is made again. Not here: what a step does, and where it runs
(flows/dispatch.py).
"""

import functools
import hashlib
import inspect
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.context import FlowRunContext, TaskRunContext
from prefect.tasks import exponential_backoff
from pydantic import BaseModel, TypeAdapter

from blocks import store
from blocks.journal import history
from blocks.records import Artifact
from blocks.storage import folders, locks, objects, places, remote, result_records, whole_files
from blocks.storage.home import home
from blocks.storage.result_records import SERIALIZER
from blocks.storage.results import RESULTS
from configs.errors import BadInput, BudgetSpent, DamagedArtifact, Transient
from configs.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("cogumi.step")
RETRIES = 3
EVERY_RUN = (
    " (every run)"  # how the task runs end in name that are never taken from the cache; a tag would cost a request each
)


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
        self._task, self._fresh = self._make(False), self._make(True)

    def _make(self, refresh: bool) -> Task[..., Any]:
        """The Prefect task; ``refresh`` overwrites what is cached."""
        made = task(
            name=self.name,
            description=(self.fn.__doc__ or "").split("\n")[0],
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, inputs: str(inputs["key"]))
            if self.cache
            else NO_CACHE,
            persist_result=self.cache,
            refresh_cache=refresh,
            result_serializer=SERIALIZER,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_is_transient,
            task_run_name=self.name + ("-{key:.12}" if self.cache else EVERY_RUN),
            cache_result_in_memory=False,
        )(_run_call)
        made.result_storage = RESULTS  # not by the constructor, which wants a block that is saved on a server
        return made

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The cache key of a call (hex with the step's name and version in front)."""
        bound = inspect.signature(self.fn).bind(*args, **kwargs)
        bound.apply_defaults()
        described = json.dumps(
            {name: _identity(value, self.name, name) for name, value in bound.arguments.items()}, sort_keys=True
        )
        return hashlib.sha256(f"{self.name} v{self.version} {described}".encode()).hexdigest()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run inside a flow: from the cache when it can be believed, otherwise for real. Outside a flow: plainly."""
        if FlowRunContext.get() is None:
            return self.fn(*args, **kwargs)
        key = self.key(*args, **kwargs)
        started = time.monotonic()
        fresh = bool(os.environ.get("COGUMI_FRESH"))
        try:
            result, call = self._answered(key, args, kwargs, fresh)
        except BaseException as error:
            history.step_done(self.name, history.FAILED, time.monotonic() - started, error=error)
            if isinstance(error, BudgetSpent):
                history.budget_spent(self.name, str(error))
            raise
        seconds, made = time.monotonic() - started, list(_artifacts(result))
        outcome = history.RAN if call.ran else history.CACHED
        history.step_done(self.name, outcome, seconds, made)
        shown = " ".join(artifact.short for artifact in made)
        log.info(
            "%-22s %-6s %7.1f s  %s",
            self.name,
            outcome,
            seconds,
            shown,
            extra={"step": self.name, "step_id": call.task_run},
        )
        return result

    def _answered(self, key: str, args: Any, kwargs: Any, fresh: bool) -> tuple[R, "Call"]:
        """The result, and the call that gave it."""
        with locks.held(
            places.inside(places.scratch() / "locks") / key
        ):  # the same inputs never run twice at once, on one machine
            plain, call = self._run(key, args, kwargs, refresh=fresh)
            if call.ran:
                return self.result_type.validate_python(plain), call
            held: list[Artifact] = []
            try:
                result = self.result_of(plain)
                held += _artifacts(result)
                for artifact in held:
                    store.is_there(artifact)
            except (DamagedArtifact, ValueError) as damage:
                log.warning(
                    "%s: cached result not believed (%s); made again", self.name, " ".join(str(damage).split())[:300]
                )
                doubted = folders.doubted.set({artifact.digest: artifact for artifact in held})
                try:
                    plain, call = self._run(key, args, kwargs, refresh=True)
                finally:
                    folders.doubted.reset(doubted)
                result = self.result_type.validate_python(plain)
        return result, call

    def result_of(self, plain: Any) -> R:
        """The result that was written down as ``plain``, exactly of the step's type: no number for a text, no text for
        a number.

        Raises:
            ValueError: it is not of that type.
        """
        try:
            return self.result_type.validate_json(json.dumps(plain), strict=True)
        except (RecursionError, OverflowError) as error:
            raise ValueError(str(error)) from None

    def _run(self, key: str, args: Any, kwargs: Any, refresh: bool) -> tuple[Any, "Call"]:
        call = Call(self, key, args, kwargs, refresh)
        if self.cache and not refresh:
            RESULTS.expect(key)
        try:
            return (self._fresh if refresh else self._task)(key=key, call=call), call
        finally:
            RESULTS.forget(key)


class Call:
    """One call on its way through Prefect, which shall neither look into the arguments nor store them."""

    def __init__(self, step: Step[Any, Any], key: str, args: Any, kwargs: Any, refresh: bool) -> None:
        self.step, self.args, self.kwargs, self.ran = step, args, kwargs, False
        self.task_run: str | None = None
        self.kept = home() / "unsent" / "results" / key
        self.done: list[Any] = [] if refresh else self._read_kept()

    def run(self) -> Any:
        """Run the function; the result as plain JSON data. When its artifacts cannot be sent to the store, the work is
        kept: a retry, also one after the end of this process, only sends them.

        Raises:
            Transient: the store cannot be reached.
        """
        self.ran = True
        task = TaskRunContext.get()
        self.task_run = str(task.task_run.id) if task is not None else None
        waits = remote.may_wait.set(True)
        try:
            with store.within_step(self.step.name):
                if not self.done:
                    self.done = [
                        self.step.result_type.dump_python(self.step.fn(*self.args, **self.kwargs), mode="json")
                    ]
                if objects.is_remote(places.location()):
                    self._send()
                return self.done[0]
        finally:
            remote.may_wait.reset(waits)

    def _send(self) -> None:
        try:
            remote.send()
        except Transient:
            whole_files.replace(self.kept, json.dumps(self.done).encode())
            raise
        self.kept.unlink(missing_ok=True)

    def _read_kept(self) -> list[Any]:
        """The work of an earlier try that could only not be sent; nothing where it is not whole."""
        try:
            (kept,) = result_records.parsed(objects.read_file(self.kept, result_records.MOST_BYTES))
            self.step.result_of(kept)
        except (OSError, ValueError, TypeError):
            return []
        return [kept]


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
    raise BadInput(
        f"step {step}: argument {name} is a {type(value).__name__}; pass artifacts, settings or plain values"
    )


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

"""``cogumi run``: start the pipeline, say what came from the cache, show where the result is.

Not here: the pipeline itself (flows/), and servers (up.py).
"""

import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from blocks import store
from configs.errors import BadInput
from configs.reading import cut, quoted
from deployments.terminal.shutdown import work_begins
from flows.phases import PHASES

if TYPE_CHECKING:
    from configs.schema import Profile

log = logging.getLogger("cogumi.run")
SETTLE_SECONDS = 5.0


def run_pipeline(profile: str, phases: list[str], overrides: list[str], fresh: bool, as_json: bool = False) -> None:
    """Run the pipeline here, against the server of ``cogumi up`` where one is running, otherwise one of its own.
    ``as_json``: print the result as JSON.

    Raises:
        BadInput: unknown profile, phase or setting.
        GateFailed, BudgetSpent: the run stopped there.
    """
    from configs.schema import load

    chosen = load(profile, overrides)  # bad settings end here, before any server starts
    names = [one.name for one in PHASES]
    for name in phases:
        if name not in names:
            raise BadInput(f"unknown phase {quoted(name)}; there are: {', '.join(names)}")
    until = next((name for name in reversed(names) if name in phases), names[-1])
    if fresh:
        os.environ["COGUMI_FRESH"] = "1"
    started = time.monotonic()
    store.ready()
    find_server()

    from deployments.terminal import console
    from deployments.up.servers.own_server import watched
    from flows.pipeline import pipeline

    console.attach()
    log.info("%s", announcement(chosen, until, overrides))
    work_begins()
    with watched():
        state = pipeline(profile, overrides, until, return_state=True)
        if state.state_details.flow_run_id is not None:
            log.info("%s; %.0f s in all", describe(state.state_details.flow_run_id), time.monotonic() - started)
        built = state.result()
    if as_json:
        console.say_json(built, indent=None)
    elif built.release is not None:
        console.say(
            f"release  {store.here(built.release.release).uri}\nreport   "
            f"{store.here(built.release.report).uri}/report.html\ntalk     cogumi chat"
        )


def announcement(profile: "Profile", until: str, overrides: list[str]) -> str:
    """What a run begins with: the profile, what it builds and on what, up to which phase, and what differs from the
    profile."""
    return (
        f"profile {profile.name} up to phase {until}: {profile.description} Settings that are not the profile's: "
        f"{cut(', '.join(overrides), 2000) or 'none'}"
    )


def describe(flow_run: UUID) -> str:
    """How many steps of a run (and of the runs below it) came from the cache, ran, or failed."""
    from prefect import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterParentFlowRunId,
        TaskRunFilter,
        TaskRunFilterFlowRunId,
        TaskRunFilterSubFlowRuns,
    )
    from prefect.client.schemas.objects import TaskRun

    from tasks.step import EVERY_RUN

    no_phases = TaskRunFilterSubFlowRuns(exists_=False)

    def read() -> list[TaskRun]:
        found, level = [], [flow_run]
        while level:
            found += client.read_task_runs(
                task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=level), subflow_runs=no_phases)
            )
            level = [
                child.id
                for child in client.read_flow_runs(
                    flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=level))
                )
            ]
        return found

    with get_client(sync_client=True) as client:
        runs, before = read(), -1
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and (
            len(runs) != before or any(run.state is None or not run.state.is_final() for run in runs)
        ):
            time.sleep(0.2)  # the server writes task runs down a little after they end
            runs, before = read(), len(runs)
    always = sum(run.name.endswith(EVERY_RUN) for run in runs)
    counts = Counter(run.state_name or "Unknown" for run in runs if not run.name.endswith(EVERY_RUN))
    cached, ran = counts.pop("Cached", 0), counts.pop("Completed", 0)
    rest = "".join(f", {count} {name.lower()}" for name, count in counts.items())
    return f"{cached + ran} steps: {cached} from the cache, {ran} run{rest}; {always} that run every time"


def find_server() -> None:
    """The server that the environment names, else that of ``cogumi up`` with this state folder, else one for this run
    alone.

    Raises:
        BadInput: ``PREFECT_API_URL`` is no address.
    """
    from deployments.up.servers import login
    from deployments.up.servers.own_server import start_temporary
    from deployments.up.state_file import running

    if named := os.environ.pop("PREFECT_API_URL", "").strip():  # set to nothing is not set
        if not named.startswith(("http://", "https://")):
            raise BadInput(
                f"PREFECT_API_URL {quoted(named)} is no address; write one such as http://host:4200/api, or unset it: "
                "then a run starts a server of its own"
            )
        os.environ["PREFECT_API_URL"] = named
    found = running()
    if found is not None and named in ("", found.api):
        os.environ["PREFECT_API_URL"] = found.api
        if own := login.given() or login.kept():
            os.environ[login.CLIENT] = own
    elif not named:
        start_temporary()

"""Flow runs whose worker on this machine is gone and whose process is gone too: marked as crashed at once.

Such a run says nothing any more, yet holds a slot of its pool and keeps whoever waits for it waiting. The automations
that find it on any machine (crashed.yaml, never-started.yaml) need minutes and half an hour. The names of the workers
that were started stand in ``$COGUMI_HOME/workers`` until none of their runs is left. Not here: when to look (up.py).
"""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import httpx

from blocks.storage.home import home, private_folder
from deployments.up import processes

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

PAGE = 200  # the most that Prefect's server hands out at once
log = logging.getLogger("cogumi.up")


def remember(worker: str) -> None:
    """Write down that ``worker`` takes runs from now on."""
    (private_folder("workers") / quote(worker, safe="")).touch(mode=0o600)


def mark(working: Collection[str] = ()) -> bool:
    """Mark the orphans of every worker that was remembered and is not ``working``; whether there is something left to
    look after: a run whose process outlived its worker, or a server that does not answer."""
    gone = {unquote(path.name): path for path in (home() / "workers").glob("*")}
    gone = {name: path for name, path in gone.items() if name not in working}
    if not gone:
        return False
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    alive = processes.flow_runs()  # before the states are read: what ended by then has said so
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            left = set()
            for run in _unfinished(client):
                worker = str(run.labels.get("prefect.worker.name"))
                if worker in gone and str(run.id) in alive:
                    left.add(worker)
                elif worker in gone:
                    _crash(
                        client,
                        run,
                        f"The worker {worker} is gone, and the process of this run too. Run it again, finished steps "
                        "come from the cache.",
                    )
    except (httpx.HTTPError, RuntimeError, ObjectNotFound) as error:  # the last: somebody deleted it meanwhile
        log.warning("runs that a worker left behind are looked for later: %s", error)
        return True
    for name, path in gone.items():
        if name not in left:
            path.unlink(missing_ok=True)
    return bool(left)


def _unfinished(client: "SyncPrefectClient", inside: "FlowRun | None" = None) -> "list[FlowRun]":
    """The runs that began or were taken and have not ended, all or those that a run started."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterParentFlowRunId,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    wanted = FlowRunFilter(
        state=FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
        ),
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[inside.id]) if inside is not None else None,
    )
    found: list[FlowRun] = []
    while len(page := client.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=len(found))) == PAGE:
        found += page
    return found + page


def _crash(client: "SyncPrefectClient", run: "FlowRun", message: str) -> None:
    """Mark a run and the phases that ran in its process."""
    from prefect.states import Crashed

    for phase in _unfinished(client, run):
        if "prefect.worker.name" not in phase.labels and phase.work_pool_name is None:
            _crash(client, phase, message)
    client.set_flow_run_state(run.id, Crashed(message=message))
    print(f"run {run.name} is marked as crashed: its worker and its process are gone", flush=True)

"""Waiting for a run on a work pool, and saying what it waits for: no worker, a paused pool, a full one, a server that
does not answer.

Not here: what is submitted, and what follows from its end (dispatch.py).
"""

import logging
import time
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, WorkPool, WorkPoolStatus
from prefect.settings import PREFECT_API_URL

from configs.errors import Transient

log = logging.getLogger("cogumi.dispatch")
POLL_SECONDS = 1.0
LOOK_SECONDS = 5.0  # between looks at the pool while the run has not started
REPEAT_SECONDS = 60.0  # between two warnings of the same
BUSY_SECONDS = 30.0  # an idle worker takes a run well within that
SERVER_SECONDS = 600.0  # how long a server may be away


class Waiting:
    """For one run. The reason why it does not start is told when it changes, and again every minute."""

    def __init__(self, run: FlowRun, pool: str) -> None:
        self.run: UUID = run.id
        self.name, self.pool = run.name, pool
        self.began = self.looked = time.monotonic()
        self.reason, self.told = "", 0.0

    def end(self) -> FlowRun:
        """The run, when it has ended.

        Raises:
            Transient: the server was away for too long.
        """
        away: float | None = None
        with get_client(sync_client=True) as client:
            while True:
                try:
                    run = client.read_flow_run(self.run)
                    if run.state is not None and run.state.is_final():
                        return run
                    if run.state is not None and run.state.is_scheduled():
                        self._look(client)
                    elif self.reason:
                        log.info("pool %s: %s has started", self.pool, self.name)
                        self.reason = ""
                    away = None
                except httpx.TransportError as error:
                    now = time.monotonic()
                    if away is None:
                        away = now
                        log.warning(
                            "the Prefect server does not answer (%s); waiting for it, run %s may go on meanwhile",
                            type(error).__name__,
                            self.name,
                        )
                    if now - away > SERVER_SECONDS:
                        raise Transient(
                            f"the Prefect server was away for {SERVER_SECONDS / 60:.0f} minutes while run {self.name} "
                            f"was on pool {self.pool}"
                        ) from None
                time.sleep(POLL_SECONDS)

    def _look(self, client: SyncPrefectClient) -> None:
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS and now - self.began >= LOOK_SECONDS:
            return
        self.looked = now
        reason = _reason(client.read_work_pool(self.pool), now - self.began)
        if reason != self.reason or (reason and now - self.told >= REPEAT_SECONDS):
            if reason:
                log.warning("waiting (%s): %s", _duration(now - self.began), reason)
            else:
                log.info("pool %s has a worker again", self.pool)
            self.reason, self.told = reason, now


def _reason(pool: WorkPool, waited: float) -> str:
    """Why a run of this pool does not start; empty where nothing is wrong."""
    if pool.is_paused:
        return f"work pool {pool.name} is paused; resume it with: prefect work-pool resume {pool.name}"
    if pool.status != WorkPoolStatus.READY:
        where = "" if pool.type == "process" else f" where {pool.type} can be reached"
        start = f"cogumi up --pool {pool.name} --api {PREFECT_API_URL.value()}"
        return f"no worker serves work pool {pool.name}; start one{where} with: {start}"
    if waited > BUSY_SECONDS:
        return (
            f"work pool {pool.name} is busy (at most {pool.concurrency_limit or 'unlimited'} at once); the run "
            "starts when another ends"
        )
    return ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

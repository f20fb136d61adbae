"""A flow that does nothing, for workers of tests: as long as told, or at once with an error. And what a pool must offer
that its runs hang."""

import os
import time

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate


@flow
def idling(seconds: float) -> None:
    """Sleep; below zero, fail."""
    if seconds < 0:
        raise ValueError("told to fail")
    time.sleep(seconds)


@flow(persist_result=True)
def telling() -> list[str]:
    """The names of the environment variables that a run has."""
    return sorted(os.environ)


def offer_command(client: SyncPrefectClient, pool: str) -> None:
    """Let runs of ``pool`` set their command, as ours does not."""
    template = client.read_work_pool(pool).base_job_template
    template["job_configuration"]["command"] = "{{ command }}"
    template["variables"]["properties"]["command"] = {"type": "string"}
    client.update_work_pool(pool, WorkPoolUpdate(base_job_template=template))

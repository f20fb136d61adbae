"""What a server needs before a run can be submitted: pools with their queues, limits, blocks, automations, deployments. All idempotent.

Not here: the server itself and its workers (local.py), automations' files (automating.py).
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import CogumiError
from configs.reading import read_yaml

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

ROOT = Path(__file__).resolve().parent.parent
POOLS = Path(__file__).resolve().parent / "pools"


async def prepare() -> list[str]:
    """Everything but the deployments; what a person should know, a line each."""
    from prefect import get_client

    from deployments.automating import automate

    async with get_client() as client:
        for name, pool in pools().items():
            await _make_pool(client, name, pool)
        said = await _make_limits(client)
        await _register_blocks()
        return said + await automate(client)


def pools() -> dict[str, dict[str, Any]]:
    """pools/pools.yaml."""
    loaded: dict[str, dict[str, Any]] = read_yaml(POOLS / "pools.yaml")
    return loaded


def deploy() -> None:
    """Every deployment of prefect.yaml.

    Raises:
        CogumiError: Prefect refused one.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml")]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CogumiError(f"prefect deploy --all failed: {(done.stderr or done.stdout).strip()[-2000:]}")


async def _make_pool(client: "PrefectClient", name: str, pool: dict[str, Any]) -> None:
    """A pool that exists keeps its type and template: it may be Kubernetes' by now."""
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    template = json.loads((POOLS / "process.json").read_text())
    wanted = WorkPoolCreate(name=name, type="process", description=pool["description"], base_job_template=template, concurrency_limit=pool["limit"])
    try:
        await client.create_work_pool(wanted)
    except ObjectAlreadyExists:
        await client.update_work_pool(name, WorkPoolUpdate(description=pool["description"], concurrency_limit=pool["limit"]))
    for queue, fields in pool["queues"].items():
        values = {"description": fields["description"], "concurrency_limit": fields["limit"], "priority": fields["priority"]}
        try:
            found = await client.read_work_queue_by_name(queue, work_pool_name=name)
        except ObjectNotFound:
            await client.create_work_queue(queue, work_pool_name=name, **values)
        else:
            await client.update_work_queue(found.id, **values)


async def _make_limits(client: "PrefectClient") -> list[str]:
    """The teachers' rate limits of every profile, for ``teachers.limiter: prefect``. One that exists is left as it is: it may have been
    set to the account's own in the UI."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectNotFound

    from blocks.teachers.prefect_limits import limits
    from configs.schema import available, load

    wanted: dict[str, float] = {}
    for profile in available():
        for name, rate in limits(load(profile).teachers).items():
            wanted[name] = min(rate, wanted.get(name, rate))
    said = []
    for name, rate in wanted.items():
        try:
            found = await client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=max(1, math.ceil(rate)), slot_decay_per_second=rate))
        else:
            if not math.isclose(found.slot_decay_per_second, rate, rel_tol=1e-6):
                said.append(f"limit {name} is {found.slot_decay_per_second:g} per second on the server, {rate:g} in the profiles; left as it is")
    return said


async def _register_blocks() -> None:
    from blocks.teachers.block import TeacherCredentials

    await TeacherCredentials.aregister_type_and_schema()

"""What a server needs before a run can be submitted: pools with their queues, limits, blocks, automations. All
idempotent, and what a person set on the server stays as it is, until the file says something new about that very field.

Not here: the server itself and its workers (up.py), automations' files (automations.py), deployments (deploy.py).
"""

import json
import math
from typing import TYPE_CHECKING, Any

from blocks.prefect.code_version import ROOT
from configs.reading import read_yaml
from deployments.up.applied_digests import Applied, digest, there_already

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

POOLS = ROOT / "deployments" / "pools"
RENEWED = {"64d053bd6d"}  # the digests of templates that older versions gave to process pools; no person wrote those


async def prepare() -> list[str]:
    """Everything but the deployments; what a person should know, a line each."""
    from prefect import get_client

    from deployments.up.automations import automate

    async with get_client() as client:
        applied = await Applied.read(client, "pools")
        said = [line for name, pool in pools().items() for line in await _make_pool(client, name, pool, applied)]
        await applied.keep(client)
        said += await _make_limits(client)
        await _register_blocks()
        return said + await automate(client)


def pools() -> dict[str, dict[str, Any]]:
    """pools/pools.yaml."""
    loaded: dict[str, dict[str, Any]] = read_yaml(POOLS / "pools.yaml")
    return loaded


async def _make_pool(client: "PrefectClient", name: str, pool: dict[str, Any], applied: Applied) -> list[str]:
    """A pool with its queues; what a person should know. One that exists keeps its type: it may be Kubernetes' by
    now."""
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    fields = {"description": pool["description"], "concurrency_limit": pool["limit"]}
    template = json.loads((POOLS / "process.json").read_text())
    made = False
    try:
        found = await client.read_work_pool(name)
    except ObjectNotFound:
        made = True
        with there_already():
            await client.create_work_pool(
                WorkPoolCreate(name=name, type="process", base_job_template=template, **fields)
            )
        found = await client.read_work_pool(name)
    held = {"description": found.description, "concurrency_limit": found.concurrency_limit}
    due = applied.changed(name, fields, held, ours=("description",))
    said = []
    if found.type == "process":
        before = applied.remembers(f"{name}#template", "whole")
        applied.held[f"{name}#template"] = {"whole": digest(template)}
        if digest(found.base_job_template) in {before, *RENEWED}:
            due |= {"base_job_template": template} if found.base_job_template != template else {}
        elif found.base_job_template != template:
            said.append(
                f"pool {name} keeps the job template that somebody gave it; ours is deployments/pools/process.json"
            )
    if due:
        await client.update_work_pool(name, WorkPoolUpdate(**due))
    for queue, values in pool["queues"].items():
        await _make_queue(client=client, pool=name, name=queue, queue=values, applied=applied, new=made)
    return said


async def _make_queue(
    client: "PrefectClient", pool: str, name: str, queue: dict[str, Any], applied: Applied, new: bool
) -> None:
    """``new``: the pool was just made, and its queue ``default`` with it, by the server's own values."""
    from prefect.exceptions import ObjectNotFound

    fields = {"description": queue["description"], "concurrency_limit": queue["limit"], "priority": queue["priority"]}
    try:
        found = await client.read_work_queue_by_name(name, work_pool_name=pool)
    except ObjectNotFound:
        new = True
        with there_already():
            await client.create_work_queue(name, work_pool_name=pool, **fields)
        found = await client.read_work_queue_by_name(name, work_pool_name=pool)
    if due := applied.changed(
        f"{pool}/{name}",
        fields,
        None if new else {field: getattr(found, field) for field in fields},
        ours=("description",),
    ):
        await client.update_work_queue(found.id, **due)


async def _make_limits(client: "PrefectClient") -> list[str]:
    """The teachers' rate limits of every profile, for ``teachers.limiter: prefect``. One that exists is left as it is:
    it may have been set to the account's own in the UI."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectNotFound

    from blocks.teachers.limits.prefect_limits import limits
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
            with there_already():
                await client.create_global_concurrency_limit(
                    GlobalConcurrencyLimitCreate(name=name, limit=max(1, math.ceil(rate)), slot_decay_per_second=rate)
                )
        else:
            if not math.isclose(found.slot_decay_per_second, rate, rel_tol=1e-6):
                said.append(
                    f"limit {name} is {found.slot_decay_per_second:g} per second on the server, {rate:g} in the "
                    "profiles; left as it is"
                )
    return said


async def _register_blocks() -> None:
    from blocks.teachers.block import TeacherCredentials

    for _ in range(
        2
    ):  # its type and its schema; one that was made by a first delivery of the request is found the next time
        with there_already():
            await TeacherCredentials.aregister_type_and_schema()
            return
    await TeacherCredentials.aregister_type_and_schema()

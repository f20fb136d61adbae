"""The deployments of prefect.yaml on a server, made or brought up to this code. What a person set there stays: the
switch and times of a schedule, a pause, parameters, limits, tags, until the file says something new about that very
field.

``prefect deploy`` alone writes the file over all of it. Not here: how that is told apart (applied_digests.py), pools
(provision.py).
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from blocks.prefect.code_version import ROOT
from configs.errors import CogumiError
from deployments.up.applied_digests import Applied, gone_already, there_already

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse

FILE = ROOT / "prefect.yaml"
FIELDS: dict[str, Any] = {
    "description": None,
    "tags": [],
    "parameters": {},
    "work_pool": {},
    "concurrency_limit": None,
    "paused": False,
}


def deploy() -> None:
    """Every deployment of prefect.yaml.

    Raises:
        CogumiError: Prefect refused one.
    """
    asyncio.run(_deploy(yaml.safe_load(FILE.read_text())))


async def _deploy(content: dict[str, Any]) -> None:
    from prefect import get_client

    async with get_client() as client:
        applied = await Applied.read(client, "deployments")
        there = {name: await _there(client, name) for name in map(full_name, content["deployments"])}
        merged = [_merged(config, there[full_name(config)], applied) for config in content["deployments"]]
    await asyncio.to_thread(_run, {**content, "deployments": merged})
    async with get_client() as client:
        for config in content["deployments"]:
            found = there[full_name(config)]
            if found is not None:
                await _schedule(client, config, found, applied)
            else:
                for schedule in config.get("schedules", []):
                    applied.changed(_slugged(config, schedule), _fields(schedule), None)
        await applied.keep(client)


def full_name(config: dict[str, Any]) -> str:
    """``flow/deployment`` of an entry of the file."""
    return f"{config['entrypoint'].rsplit('.', 1)[1]}/{config['name']}"


async def _there(client: "PrefectClient", name: str) -> "DeploymentResponse | None":
    from prefect.exceptions import ObjectNotFound

    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _merged(config: dict[str, Any], there: "DeploymentResponse | None", applied: Applied) -> dict[str, Any]:
    """An entry as Prefect's command shall apply it: the file's, with what a person set. Of one that is there without
    its schedules."""
    wanted = {**FIELDS, **{field: config[field] for field in FIELDS if field in config}}
    if there is None:
        applied.changed(full_name(config), wanted, None)
        return config
    held = _server_fields(there)
    chosen = {**held, **applied.changed(full_name(config), wanted, held, ours=("description", "tags"))}
    if "name" not in chosen["work_pool"]:  # somebody deleted its pool, and one of that name may be there again
        chosen["work_pool"] = wanted["work_pool"]
    return {field: value for field, value in {**config, **chosen}.items() if field != "schedules" and value is not None}


def _server_fields(there: "DeploymentResponse") -> dict[str, Any]:
    """The fields of a deployment on the server, as the file writes them."""
    pool = {
        "name": there.work_pool_name,
        "work_queue_name": there.work_queue_name,
        "job_variables": there.job_variables,
    }
    limit: Any = None
    if there.global_concurrency_limit is not None:
        options = (
            there.concurrency_options.model_dump(mode="json", exclude_none=True)
            if there.concurrency_options is not None
            else {}
        )
        limit = (
            {"limit": there.global_concurrency_limit.limit, **options}
            if options
            else there.global_concurrency_limit.limit
        )
    return {
        "description": there.description,
        "tags": there.tags,
        "parameters": there.parameters,
        "work_pool": {field: value for field, value in pool.items() if value},
        "concurrency_limit": limit,
        "paused": there.paused,
    }


def _run(content: dict[str, Any]) -> None:
    """``prefect deploy`` with a file of this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefect.yaml"
        path.write_text(yaml.safe_dump(content))
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise CogumiError(f"prefect deploy --all failed: {_error_line(done.stderr or done.stdout)}")


def _error_line(output: str) -> str:
    """What a command of Prefect says of its failure: of a traceback the error alone."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if "Traceback (most recent call last)" in output else output.strip()[-2000:]


async def _schedule(
    client: "PrefectClient", config: dict[str, Any], found: "DeploymentResponse", applied: Applied
) -> None:
    """The schedules of a deployment that was there. One that a person deleted is not made again; one that left the file
    goes."""
    held = {schedule.slug: schedule for schedule in await client.read_deployment_schedules(found.id) if schedule.slug}
    wanted = {schedule["slug"]: schedule for schedule in config.get("schedules", [])}
    for slug, schedule in wanted.items():
        name, there = _slugged(config, schedule), held.get(slug)
        deleted = there is None and name in applied.held
        due = applied.changed(name, _fields(schedule), _scheduled(there) if there is not None else None)
        if there is None and not deleted:
            with there_already():
                await client.create_deployment_schedules(found.id, [(_times(schedule), schedule["active"])], slug=slug)
        elif there is not None and due:
            moved = {**_scheduled(there), **due}
            times = _times(moved) if {"cron", "timezone"} & set(due) and moved["cron"] else None
            await client.update_deployment_schedule(found.id, there.id, due.get("active"), times)
    for name in [
        name
        for name in applied.held
        if name.startswith(f"{full_name(config)}#") and name.partition("#")[2] not in wanted
    ]:
        del applied.held[name]
        if (gone := held.get(name.partition("#")[2])) is not None:
            with gone_already():
                await client.delete_deployment_schedule(found.id, gone.id)


def _slugged(config: dict[str, Any], schedule: dict[str, Any]) -> str:
    return f"{full_name(config)}#{schedule['slug']}"


def _fields(schedule: dict[str, Any]) -> dict[str, Any]:
    return {field: schedule[field] for field in ("cron", "timezone", "active")}


def _scheduled(there: "DeploymentSchedule") -> dict[str, Any]:
    """The fields of a schedule on the server; no cron where a person made it one of intervals."""
    return {
        "active": there.active,
        "cron": getattr(there.schedule, "cron", None),
        "timezone": getattr(there.schedule, "timezone", None),
    }


def _times(schedule: dict[str, Any]) -> Any:
    from prefect.client.schemas.schedules import CronSchedule

    return CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])

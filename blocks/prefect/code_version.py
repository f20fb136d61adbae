"""Which code this is: the package's version and a digest of everything that a run executes.

A deployment carries it (prefect.yaml). flows/dispatch.py compares it with the code that dispatches, and :func:`check`
with the code on the worker's machine before a run begins there. Not here: a step's own version, which decides on
caching (tasks/step.py).
"""

import hashlib
import logging
import os
import socket
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NoReturn
from uuid import UUID

from packaging.version import InvalidVersion, Version

from configs.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]  # of the checkout or the installed packages
PACKAGES = ("configs", "blocks", "tasks", "flows")
log = logging.getLogger("cogumi.dispatch")


@lru_cache(maxsize=1)
def code_version() -> str:
    """``version+digest``, such as ``0.1.0+3f2a9c01b7de``; the same in a checkout and in an image that was built from
    it."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in {".py", ".yaml"}:
                digest.update(
                    f"{path.relative_to(ROOT).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest()
                )
    return f"{version('cogumi')}+{digest.hexdigest()[:12]}"


def release(code: str) -> str:
    """The package's version in ``code``."""
    return code.partition("+")[0]


def compare(theirs: str) -> Literal["same", "older", "newer", "other", "unknown"]:
    """How ``theirs`` stands to this code; ``other``: of the same version, but not the same."""
    ours = code_version()
    if theirs == ours:
        return "same"
    try:
        one, two = Version(release(theirs)), Version(release(ours))
    except InvalidVersion:
        return "unknown"
    return "older" if one < two else "newer" if one > two else "other"


def step() -> dict[str, str]:
    """For ``build`` in prefect.yaml: what ``{{ code.version }}`` stands for."""
    return {"version": code_version()}


def check(deployed: str) -> None:
    """For ``pull`` in prefect.yaml: refuse a run on a machine whose code is of another version than the deployment.

    Raises:
        BadInput: says which of the two is older, and what to do.
    """
    ours, machine = code_version(), socket.gethostname()
    how = compare(deployed)
    if how == "newer":
        _refuse(
            f"the code on worker {machine} is of version {release(ours)}, older than the run's deployment "
            f"({release(deployed)}): update its checkout or image"
        )
    if how == "older":
        _refuse(
            f"the run's deployment is of version {release(deployed)}, older than the code on worker {machine} "
            f"({release(ours)}): run `{deploying()}` from that"
        )
    if how == "other":
        log.warning(
            "the code on worker %s (%s) is not that of the run's deployment (%s), though of the same version",
            machine,
            ours,
            deployed,
        )


def deploying() -> str:
    """The command that brings this server's deployments up to the code that it is run from, and keeps what a person
    set."""
    from prefect.settings import PREFECT_API_URL

    return f"cogumi up --server-only --api {PREFECT_API_URL.value() or 'URL'}"


def _refuse(reason: str) -> NoReturn:
    """End the run as failed, with the reason: Prefect alone would call it crashed, without one, and a crash is tried
    again."""
    run = os.environ.get("PREFECT__FLOW_RUN_ID")
    if run is not None:
        from prefect import get_client
        from prefect.states import Failed

        with get_client(sync_client=True) as client:
            client.set_flow_run_state(UUID(run), Failed(message=f"BadInput: {reason}"), force=True)
    raise BadInput(reason)

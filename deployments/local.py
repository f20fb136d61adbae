"""``cogumi up`` and ``cogumi down``: server, pools, workers and deployments on one machine.

``up`` stays in the foreground and stops what it started, workers before the server, and only that.
Not here: pools on other machines (pools/), and the deployments themselves (prefect.yaml).
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from blocks.errors import BadInput, CogumiError
from blocks.home import home
from blocks.records import Record
from deployments.server import START_SECONDS, wait_for

ROOT = Path(__file__).resolve().parent.parent
POOLS = {"cpu": 4, "gpu": 1}  # pool name → how many runs at once


class Running(Record):
    """What ``cogumi up`` wrote down: its process, when that process started (to tell it from a later one), and the API."""

    pid: int
    started: float
    api: str


def running() -> Running | None:
    """The ``cogumi up`` of this state folder, if its process is alive."""
    path = home() / "up.json"
    try:
        found = Running.model_validate_json(path.read_text())
    except (OSError, ValueError):
        return None
    return found if _started(found.pid) == found.started else None


def up(host: str, port: int) -> None:
    """Start everything and wait; ``ready`` is printed when a run can be submitted.

    Raises:
        BadInput: the port is taken.
    """
    found = running()
    if found is not None:
        print(f"already up  {found.api}\nready", flush=True)
        return
    _check_free(host, port)
    api = f"http://{host}:{port}/api"
    os.environ["PREFECT_API_URL"] = api
    os.environ["COGUMI_HOME"] = str(home())
    signal.signal(signal.SIGTERM, _interrupt)
    children: list[subprocess.Popen[bytes]] = []
    note = home() / "up.json"
    try:
        children.append(_start("server", ["server", "start", "--host", host, "--port", str(port)]))
        wait_for(api, children[0], "server.log")
        note.write_text(Running(pid=os.getpid(), started=_started(os.getpid()) or 0.0, api=api).model_dump_json())
        for pool, limit in POOLS.items():
            _make_pool(pool, limit)
        _prefect(["--no-prompt", "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml")])
        for pool, limit in POOLS.items():
            children.append(_start(f"worker-{pool}", ["worker", "start", "--pool", pool, "--name", f"{pool}-{os.getpid()}", "--limit", str(limit)]))
        _wait_for_workers(children)
        print(f"api    {api}\nui     http://{host}:{port}\nlogs   {home() / 'logs'}\nready", flush=True)
        _watch(children)
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        for child in reversed(children):
            _stop(child)
        if found is None and (mine := running()) is not None and mine.pid == os.getpid():
            note.unlink(missing_ok=True)


def down() -> None:
    """End the ``cogumi up`` of this state folder and wait until it is gone; nothing to do is not an error."""
    found = running()
    if found is None:
        print("nothing is up")
        return
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while running() is not None:
        if time.monotonic() > deadline:
            raise CogumiError(f"process {found.pid} of `cogumi up` does not end; see {home() / 'logs'}")
        time.sleep(0.1)
    print("down")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _started(pid: int) -> float | None:
    """When process ``pid`` started, in clock ticks since boot; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else float(fields[19])


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port") from None


def _prefect(arguments: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "prefect", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CogumiError(f"prefect {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")


def _start(name: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a part in a process group of its own, its output in ``logs/``."""
    logs = home() / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "prefect", *arguments], cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def _stop(child: "subprocess.Popen[bytes]") -> None:
    """Ask, wait, then insist; the whole group, so that no flow run's process outlives its worker."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _make_pool(name: str, limit: int) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", concurrency_limit=limit))
        except ObjectAlreadyExists:
            client.update_work_pool(name, WorkPoolUpdate(concurrency_limit=limit))


def _wait_for_workers(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    from prefect import get_client
    from prefect.client.schemas.objects import WorkPoolStatus

    deadline = time.monotonic() + START_SECONDS
    with get_client(sync_client=True) as client:
        while any(client.read_work_pool(pool).status != WorkPoolStatus.READY for pool in POOLS):
            if time.monotonic() > deadline or any(child.poll() is not None for child in children):
                raise CogumiError(f"a worker did not start; see {home() / 'logs'}")
            time.sleep(0.2)


def _watch(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait for the end of any part; that is a fault."""
    while all(child.poll() is None for child in children):
        time.sleep(0.5)
    raise CogumiError(f"a part ended by itself; see {json.dumps(str(home() / 'logs'))}")

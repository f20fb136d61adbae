"""``cogumi up`` and ``cogumi down``: server, pools, workers and deployments on one machine, or only workers that join a
server elsewhere.

``up`` stays in the foreground and stops what it started, workers before the server, and only that.
Not here: what is put on the server (provision.py), a server that is only prepared (server_elsewhere.py), how processes
are started and ended (processes.py), what is written down of them (state_file.py).
"""

import asyncio
import os
import shlex
import signal
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from blocks.processes import started
from blocks.storage.home import home, keep_private
from configs.errors import BadInput, CogumiError
from deployments.up import deploy, orphans, processes, provision
from deployments.up.processes import Child
from deployments.up.servers import guard, login, server_elsewhere
from deployments.up.servers.addresses import check_free, check_server, is_loopback, reached
from deployments.up.servers.own_server import START_SECONDS, wait_for
from deployments.up.servers.prefect_database import checked, shown
from deployments.up.state_file import note, only_one, running, sweep

DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
UI_API = ("PREFECT_UI_API_URL", "PREFECT_SERVER_UI_API_URL")  # one setting of Prefect's, by its two names
RESTARTS = 3  # of one part within RESTART_WINDOW seconds; more is a fault that restarting does not mend
RESTART_WINDOW = 600.0
LOOK = 10.0  # seconds between looks after runs that outlived their worker


class Ended(Exception):
    """A signal to end."""


def up(
    host: str,
    port: int,
    database: str | None,
    api: str | None,
    pools: Sequence[str],
    workers: bool,
    metrics: int | None = None,
) -> None:
    """Start everything and wait; ``ready`` is printed when a run can be submitted.

    With ``api`` no server is started: the workers of ``pools`` join that one, and without ``workers`` it is only
    prepared. With ``metrics`` Prometheus is answered on that port of this machine for as long as it lives.

    Raises:
        BadInput: a port is taken, a pool or the database or the server at ``api`` is not there, or the options
            contradict each other.
    """
    if api is not None and database is not None:
        raise BadInput("--database belongs to the server that is started; the one at --api has its own")
    if pools and not workers:
        raise BadInput("--pool names pools that get a worker, --server-only says that none does; give one of them")
    if metrics is not None and api is not None and not workers:
        raise BadInput(
            "--api with --server-only prepares that server and ends, --metrics lasts; give one of them, or run `cogumi "
            "metrics`"
        )
    if api is not None and not workers:
        return server_elsewhere.prepare(api.rstrip("/"))
    found = running()
    if found is not None:
        if metrics is not None and metrics != found.metrics:
            raise BadInput(f"already up at {found.api}, without metrics on port {metrics}; first: cogumi down")
        print(f"already up  {found.api}\nready", flush=True)
        return
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one())
            sweep()
            _Up(stack, workers, pools, metrics).run(host, port, database, api)
        except Ended:
            print("stopping", flush=True)
        finally:
            _ignore_signals()  # once is enough


def down() -> None:
    """End the ``cogumi up`` of this state folder and wait until it is gone; nothing to do is not an error."""
    found = running()
    if found is None:
        print("cleaned up after a `cogumi up` that was killed" if sweep() else "nothing is up")
        return
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + 5 * processes.STOP_SECONDS
    while started(found.pid) == found.started:
        if time.monotonic() > deadline:
            raise CogumiError(f"process {found.pid} of `cogumi up` does not end; see {home() / 'logs'}")
        time.sleep(0.1)
    print("down")


class Server:
    """The server's process, which may be started more than once."""

    def __init__(self, host: str, port: int, api: str, environment: dict[str, str]) -> None:
        self.command = ["-m", "deployments.up.servers.server_command", "--host", host, "--port", str(port)]
        self.api, self.environment = api, environment
        self.process: Child

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = processes.start("server", self.command, self.environment)
        wait_for(self.api, self.process, "server.log")


class _Up:
    """One ``cogumi up``. What it starts is entered in ``stack``, so that it ends in the opposite order, whatever
    happens."""

    def __init__(self, stack: ExitStack, workers: bool, pools: Sequence[str], metrics: int | None) -> None:
        self.stack, self.with_workers, self.asked, self.metrics = stack, workers, list(pools), metrics
        self.mark = uuid.uuid4().hex
        self.server: Server | None = None
        self.workers: dict[str, Child] = {}
        self.names: dict[str, str] = {}
        self.starts, self.orphans = 0, False
        self.deaths: list[tuple[str, float]] = []
        self.database: str | None = None
        self.environment = {
            name: value for name, value in os.environ.items() if name not in (DATABASE, login.SERVER)
        }  # a worker hands its settings to its runs
        self.environment |= {processes.MARK: self.mark, "COGUMI_HOME": str(home())}
        self.environment.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "60")  # automations/crashed.yaml counts on it

    def run(self, host: str, port: int, database: str | None, api: str | None) -> None:
        measured = self.answer_prometheus()
        if api is None:
            api = self.start_server(host, port, database or os.environ.get(DATABASE))
        else:
            api = api.rstrip("/")
            self.log_in(login.given())
            check_server(api)
            self.note(api)
        self.environment["PREFECT_API_URL"] = os.environ["PREFECT_API_URL"] = api
        joined = self.server is None
        said = [] if joined else asyncio.run(provision.prepare())
        served, others = self.served(api)
        self.orphans = orphans.mark()  # of an earlier `cogumi up` that was killed
        for pool in served:
            self.start_worker(pool)
        if not joined:
            deploy.deploy()  # while the workers start
        self.wait_for_workers()
        for line in [*said, *others]:
            print(line, flush=True)
        print(f"api    {api}\nui     {api.removesuffix('/api')}", flush=True)
        if self.server is not None:
            print(f"login  {self.logging_in(api)}", flush=True)
        if measured is not None:
            print(f"metrics {measured}", flush=True)
        print(f"logs   {home() / 'logs'}", flush=True)
        if not self.with_workers:
            print(f"no worker runs here; on each machine that shall work: cogumi up --pool gpu --api {api}", flush=True)
        print("ready", flush=True)
        self.watch()

    def answer_prometheus(self) -> str | None:
        """The first thing of all, so that a port that is taken is told before anything starts."""
        from deployments.monitoring.exporter import answering

        return (
            None
            if self.metrics is None
            else self.stack.enter_context(answering("127.0.0.1", self.metrics, "--metrics"))
        )

    def start_server(self, host: str, port: int, database: str | None) -> str:
        check_free(host, port)
        api = f"http://{reached(host)}:{port}/api"
        own = login.made()
        self.log_in(own)
        environment = {
            **self.environment,
            "PREFECT_API_URL": api,
            login.SERVER: own,
            guard.ORIGINS: ",".join(sorted(guard.origins())),
        }
        if not any(name in environment for name in UI_API):
            environment[UI_API[0]] = "/api"  # the UI asks where it came from, by whichever of the server's names
        if database is not None:
            environment[DATABASE] = checked(database)
            self.database = shown(database)
        keep_prefect_private()
        self.note(api)
        self.server = Server(host, port, api, environment)
        self.stack.callback(lambda: processes.stop([self.server.process] if self.server else []))
        self.server.start()
        if self.database is not None:
            print(f"database {self.database}", flush=True)
        if not is_loopback(host):
            print(
                f"warning: {host}:{port} is plain HTTP: who reads along on the network has the login and what runs "
                "say; let a proxy with TLS or a tunnel reach it",
                flush=True,
            )
        return api

    def log_in(self, own: str | None) -> None:
        """Give the login to what this process asks, and to all that it starts; by the environment, which no other user
        can read."""
        if own is not None:
            self.environment[login.CLIENT] = os.environ[login.CLIENT] = own

    def logging_in(self, api: str) -> str:
        """How a person logs in. The login itself is not shown: what is printed may be kept by others."""
        if login.given() != login.kept():
            return f"the one that {login.SERVER} or {login.CLIENT} names; the UI asks for it"
        place = shlex.quote(str(login.file()))
        return (
            f"in {login.file()}; the UI asks for it. For another shell: export PREFECT_API_URL={api} "
            f"{login.CLIENT}=$(cat {place})"
        )

    def note(self, api: str) -> None:
        """Write down what runs; at the end nothing of it is left, neither the note nor a process."""
        self.stack.callback(note(self.mark, api, self.metrics).unlink, missing_ok=True)
        self.stack.callback(processes.sweep, self.mark)

    def served(self, api: str) -> tuple[list[str], list[str]]:
        """The pools that get a worker here, and a line for each that gets none."""
        from prefect import get_client

        if not self.with_workers:
            return [], []
        with get_client(sync_client=True) as client:
            types = {pool.name: pool.type for pool in client.read_work_pools()}
        if unknown := [name for name in self.asked if name not in types]:
            raise BadInput(
                f"there is no work pool {unknown[0]!r} on {api}; there are: {', '.join(sorted(types)) or 'none'}"
            )
        mine = self.asked or [name for name in provision.pools() if name in types]
        if not mine:
            raise BadInput(
                f"none of the pools {', '.join(provision.pools())} is on {api}; make them with: cogumi up "
                f"--server-only --api {api}"
            )
        here = [name for name in mine if name in self.asked or types[name] == "process"]
        return here, [
            f"pool {name} is of type {types[name]}; where its runs can be started: cogumi up --pool {name} --api {api}"
            for name in mine
            if name not in here
        ]

    def start_worker(self, pool: str) -> None:
        limit = provision.pools().get(pool, {}).get("limit", 1)
        self.starts += 1
        name = self.names[pool] = (
            # never twice: a run names the worker that took it
            f"{pool}-{socket.gethostname()}-{os.getpid()}-{self.starts}"
        )
        if not self.workers:
            self.stack.callback(self.stop_workers)
        orphans.remember(name)
        self.workers[pool] = processes.start(
            f"worker-{pool}",
            [
                "-m",
                "deployments.up.worker_command",
                "worker",
                "start",
                "--pool",
                pool,
                "--name",
                name,
                "--limit",
                str(limit),
            ],
            self.environment,
        )

    def stop_workers(self) -> None:
        """And their runs, while the server is there to be told."""
        processes.stop(list(self.workers.values()))
        processes.sweep(self.mark, only_runs=True)
        orphans.mark()

    def wait_for_workers(self) -> None:
        from prefect import get_client
        from prefect.client.schemas.filters import WorkerFilter

        deadline = time.monotonic() + START_SECONDS
        online = WorkerFilter.model_validate({"status": {"any_": ["ONLINE"]}})
        with get_client(sync_client=True) as client:
            waiting = dict(self.workers)
            while waiting:
                for pool, child in list(waiting.items()):
                    if any(
                        found.name == self.names[pool]
                        for found in client.read_workers_for_work_pool(pool, worker_filter=online)
                    ):
                        del waiting[pool]
                    elif child.poll() is not None or time.monotonic() > deadline:
                        raise CogumiError(f"the worker of pool {pool} did not start: {last_line(f'worker-{pool}')}")
                time.sleep(0.2)

    def watch(self) -> None:
        """Until a signal comes. A part that dies is started again, unless it dies again and again."""
        looked = time.monotonic()
        while True:
            time.sleep(0.5)
            if self.server is not None and (code := self.server.process.poll()) is not None:
                self.died("the server", code, "server")
                self.server.start()
            for pool, child in list(self.workers.items()):
                if child.poll() is not None:
                    self.died(f"the worker of pool {pool}", child.returncode, f"worker-{pool}")
                    self.start_worker(pool)
                    self.orphans, looked = True, 0.0  # its runs may live on and end by themselves
            if self.orphans and time.monotonic() - looked > LOOK:
                self.orphans, looked = orphans.mark(self.names.values()), time.monotonic()

    def died(self, part: str, code: int, log: str) -> None:
        """Say so; give up when it happens again and again."""
        now = time.monotonic()
        self.deaths = [death for death in self.deaths if now - death[1] < RESTART_WINDOW] + [(part, now)]
        times = sum(name == part for name, _ in self.deaths)
        if times > RESTARTS:
            raise CogumiError(
                f"{part} ended {times} times within {RESTART_WINDOW / 60:.0f} minutes, last with code {code}: "
                f"{last_line(log)}"
            )
        print(f"{part} ended with code {code} and is started again", flush=True)


def keep_prefect_private() -> None:
    """What an older version left open of Prefect's own files: its database holds what runs were given and said."""
    folder = home() / "prefect"
    for path in (folder, *folder.glob("prefect.db*")):
        keep_private(path)


def last_line(log: str) -> str:
    """The last thing a part said, and where the rest is."""
    path = home() / "logs" / f"{log}.log"
    try:
        lines = [line.strip() for line in path.read_text(errors="replace").split("\n") if line.strip()]
    except OSError:
        lines = []
    return f"{lines[-1][-300:] if lines else 'it said nothing'} (all of it: {path})"


def _end(*_: object) -> None:
    raise Ended


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)

"""A Prefect server of this run's own, for runs without ``cogumi up``: on a free loopback port, gone when the run is
gone.

Also after ``kill -9`` of the run: the kernel ends it. Prefect's own temporary server would live on. A server that dies
while its run goes on is started again on the same port and database. It wants a login that only the run knows, or the
environment's, and is guarded as that of ``cogumi up``. Run as a module it *is* that server, ended with its parent.
Not here: ``cogumi up`` (up.py).
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import httpx

from blocks.processes import end_with_parent
from blocks.storage.home import home, no_room, private_folder, private_opener
from configs.errors import BadInput, CogumiError
from deployments.up.servers import guard, login
from deployments.up.servers.prefect_database import shown

START_SECONDS = 120.0
NO_LOGIN = (
    f"wants another login; set {login.CLIENT} to the one in the file `login` of its state folder, as its "
    "`cogumi up` says"
)
RESTARTS = 3
LOG = "run-server.log"
log = logging.getLogger("cogumi.server")
_own: "Temporary | None" = None


class Serving(Protocol):
    """A process, or what stands for one."""

    def poll(self) -> int | None:
        """The exit code, None while it lives."""


class Temporary:
    """The server's process, and the thread that starts it again when it dies. ``stop`` ends both. ``login``: what it
    wants to be asked with."""

    def __init__(self) -> None:
        self.kept = keep_port()
        self.port = self.kept.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.login = login.given() or login.random()
        self.stopping, self.failed = False, False
        self.process = self._launch()
        threading.Thread(target=self._watch, daemon=True).start()

    def _launch(self) -> "subprocess.Popen[bytes]":
        settings = {
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
            "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",  # `cogumi up` registers them, and so does saving a block
            "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "0",  # no automation belongs to one run
            guard.ORIGINS: "",
            login.SERVER: self.login,
            login.CLIENT: self.login,
        }
        with open(private_folder("logs") / LOG, "ab", opener=private_opener) as output:
            # A session of its own: Ctrl-C and a signal to the run's group are for the run, which still has states to
            # report.
            return subprocess.Popen(
                [sys.executable, "-m", "deployments.up.servers.own_server", str(self.port), str(os.getpid())],
                env={**os.environ, **settings},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _watch(self) -> None:
        for _ in range(RESTARTS):
            code = self.process.wait()
            if self.stopping:
                return
            log.warning(
                "the run's Prefect server ended with code %s and is started again; see %s", code, home() / "logs" / LOG
            )
            self.process = self._launch()
        self.process.wait()
        self.failed = True

    def poll(self) -> int | None:
        """The last exit code once it is not started again any more, else None."""
        return self.process.returncode if self.failed else None

    def stop(self) -> None:
        """Ask, wait, then insist."""
        self.stopping = True
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        self.kept.close()


def keep_port() -> socket.socket:
    """A free loopback port, kept until this socket is closed: the kernel gives it to nobody who asks for any, also
    while a server that is to listen there is still starting. Where SO_REUSEADDR is set, as servers do, it can be
    listened on, again and again."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def start_temporary() -> None:
    """Start a server and set ``PREFECT_API_URL`` and the login for it; :func:`stop_temporary` ends it, or the end of
    this process."""
    global _own
    _own = Temporary()
    os.environ["PREFECT_API_URL"], os.environ[login.CLIENT] = _own.api, _own.login
    import flows.pipeline  # noqa: F401 - takes seconds, like the server's start: side by side

    wait_for(_own.api, _own, LOG)
    _wait_in_every_client()


def _wait_in_every_client() -> None:
    """Let a new client wait for the server too while it is started again, and not only one that has reached it before.

    Every phase has clients of its own. Prefect asks again for a connection only where there was one, so that a wrong
    address is told at once; the address of a server that this process started is right.
    """
    from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

    for client in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        client._has_connected = property(lambda self: True, lambda self, value: None)  # type: ignore[assignment]


def stop_temporary() -> None:
    """End what :func:`start_temporary` started; nothing is fine."""
    global _own
    if _own is not None:
        _own.stop()
        _own = None


@contextmanager
def watched() -> Iterator[None]:
    """A run under way: no heartbeats where nobody listens, and a lost or broken server as one clear line.

    Raises:
        CogumiError: the server is gone, and was awaited in vain; or it failed at a request, as on a full disk.
    """
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # On a server of this run's own no automation waits for heartbeats, and ending their thread takes half a second per
    # phase.
    settings = (
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}) if _own is not None else contextlib.nullcontext()
    )
    try:
        with settings:
            yield
    except PrefectHTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise BadInput(f"the Prefect server at {shown(os.environ.get('PREFECT_API_URL', ''))} {NO_LOGIN}") from None
        if not error.response.is_server_error:  # it understood, and refused: a mistake of ours
            raise
        failed = f"answered {error.response.status_code} at {error.request.url.path}"
    except httpx.TransportError as error:
        if not _asked_prefect(error):
            raise
        failed = f"is gone ({type(error).__name__})"
    except RuntimeError as error:
        if "Failed to reach API" not in str(error):  # Prefect's own words for a server that never answered
            raise
        failed = "does not answer as one"
    else:
        return
    told = f"the Prefect server at {shown(os.environ.get('PREFECT_API_URL', ''))} {failed}"
    raise _failed(
        told,
        "start it again, or correct or unset PREFECT_API_URL" if _own is None else _look(LOG),
        ", and run again: finished steps are kept",
    )


def _asked_prefect(error: httpx.TransportError) -> bool:
    """Whether it was a request to the Prefect server that failed, and not one of the run's own."""
    api = os.environ.get("PREFECT_API_URL")
    with contextlib.suppress(RuntimeError):  # httpx's way of saying that it knows of no request
        return api is not None and str(error.request.url).startswith(api)
    return False


def _failed(told: str, advice: str, then: str = "") -> CogumiError:
    """What to raise for a server that ended or failed: on a full disk that is what to mend first, as wherever else it
    is met."""
    full = no_room()
    return BadInput(f"{told}{full}{then}") if full else CogumiError(f"{told}; {advice}{then}")


def _look(log: str) -> str:
    return f"see {home() / 'logs' / log}"


def wait_for(api: str, server: Serving, log: str) -> None:
    """Return when the API answers.

    Raises:
        CogumiError: the server ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=2, verify=False, trust_env=False) as client:  # one context for all tries; loopback only
        while time.monotonic() < deadline:
            if (code := server.poll()) is not None:
                raise _failed(f"the Prefect server ended with code {code}", _look(log))
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{api}/health").is_success:
                    return
            time.sleep(0.05)
    raise CogumiError(
        f"the Prefect server did not answer on {api} within {START_SECONDS:.0f} s; see {home() / 'logs' / log}"
    )


def writes_at_once() -> None:
    """Let SQLite's writing transactions wait for one another, in this process's server.

    Prefect opens them DEFERRED; one that has read and then writes while another wrote in between fails at once,
    whatever the busy timeout, and the client tries again two seconds later: a third of the time of a run whose steps
    are cached. One that begins within another of the same request, as when a pool or a queue is paused, stays DEFERRED:
    it would wait for that other for ever.
    """
    from sqlalchemy import Connection, event
    from sqlalchemy.engine import Engine

    writing: ContextVar[Connection | None] = ContextVar("writing", default=None)

    def immediate(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        outer = writing.get()
        within = outer is not None and outer is not connection and not outer.closed and outer.in_transaction()
        if statement != "BEGIN DEFERRED" or within:
            return statement, parameters
        writing.set(connection)
        return "BEGIN IMMEDIATE", parameters

    event.listen(Engine, "before_cursor_execute", immediate, retval=True)


def _serve(port: int, parent: int) -> None:
    end_with_parent(signal.SIGKILL, parent)
    import uvicorn
    from prefect.server.api.server import create_app

    writes_at_once()
    app = create_app()
    os.umask(0o077)
    uvicorn.run(
        guard.Guard(app, guard.names("127.0.0.1")),
        host="127.0.0.1",
        port=port,
        log_level="error",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))

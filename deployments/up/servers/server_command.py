"""The Prefect server of ``cogumi up``: Prefect's app behind a guard, in which SQLite's writers wait for one another.

What it makes is its owner's only. Not here: what is started when (up.py), and why the writers wait (own_server.py).
"""

import argparse
import os

from deployments.up.servers import guard
from deployments.up.servers.own_server import writes_at_once


def serve(host: str, port: int) -> None:
    """Serve until a signal comes."""
    writes_at_once()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    settings = get_current_settings().server
    app = create_app(final=True)
    os.umask(0o077)  # only now: Prefect unpacks its UI beside its code, for all who use that
    uvicorn.run(
        guard.Guard(app, guard.names(host), guard.origins()),
        host=host,
        port=port,
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port)

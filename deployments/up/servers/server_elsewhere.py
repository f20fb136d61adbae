"""``cogumi up --server-only --api URL``: a server that something else runs, brought up to this code.

Nothing stays, so that something may be the ``cogumi up`` of this very state folder. Not here: what is put on the server
(provision.py, deploy.py), workers that join it (up.py).
"""

import asyncio
import os

from deployments.up import deploy, provision
from deployments.up.servers import login
from deployments.up.servers.addresses import check_server


def prepare(api: str) -> None:
    """Make or bring up to date the pools, limits, blocks, automations and deployments.

    Raises:
        BadInput: no server answers at ``api``, or not to this login.
    """
    if (own := login.given()) is not None:
        os.environ[login.CLIENT] = own
    check_server(api)
    os.environ["PREFECT_API_URL"] = api
    said = asyncio.run(provision.prepare())
    deploy.deploy()
    for line in said:
        print(line, flush=True)
    print(f"api    {api}\nui     {api.removesuffix('/api')}\nprepared", flush=True)

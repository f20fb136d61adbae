"""``prefect server start`` as `cogumi up` runs it: Prefect's own command, in which SQLite's writers wait for one another.

Not here: what is started when (local.py), and why that is needed (server.py).
"""

import runpy
import sys

from deployments.server import writes_at_once

if __name__ == "__main__":
    writes_at_once()
    sys.argv[:1] = ["prefect", "server", "start"]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)

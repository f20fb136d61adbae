"""A run of a few slow steps, in a process like that of ``cogumi run``: ``python -m tests.production.small STEPS
NAME``."""

import os
import sys
import time
from pathlib import Path

from blocks import store
from blocks.records import Artifact
from blocks.storage.home import configure_prefect, home
from deployments.terminal.shutdown import catch_sigterm, leave
from tasks.step import step

SECONDS = 0.4


def ran() -> Path:
    """Where every step that runs writes its name, beside the store."""
    return home() / "ran.log"


@step(version=1)
def slow(number: int, before: list[Artifact]) -> Artifact:
    """Write two files, slowly."""
    with ran().open("a") as log:
        log.write(f"{number} begun by {os.getpid()}\n")
    with store.create("number", parents=before, settings={"number": number}) as folder:
        for name in ("first", "second"):
            (folder.path / name).write_text(f"{number} {name} " * 20_000)
            time.sleep(SECONDS / 2)
    return folder.artifact


def main(steps: int) -> int:
    from prefect import flow

    from deployments.commands.run import find_server
    from deployments.terminal import console
    from deployments.up.servers.own_server import watched

    find_server()

    @flow(name="small")
    def small() -> str:
        made: list[Artifact] = []
        for number in range(steps):
            made = [slow(number, made)]
        return made[0].digest

    console.attach()
    with watched():
        print(small(), flush=True)
    return 0


if __name__ == "__main__":
    from configs.errors import CogumiError

    catch_sigterm()
    configure_prefect()
    try:
        code = main(int(sys.argv[1]))
    except CogumiError as error:
        print(f"cogumi: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:
        code = int(end.code or 0)
    leave(code)

"""The commands ``cogumi …``: their names and options. Parses, calls, prints; the exit code says how it ended.

0 done · 1 fault · 2 bad input or usage · 3 a gate failed · 4 the budget is spent · 130, 143 or 129 interrupted. Not
here: any work of a phase, and where the process begins (start.py) and ends (shutdown.py).
"""

import errno
import logging
import os
import sys
from contextlib import suppress
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated

import typer

from blocks.storage import disk
from blocks.storage.home import configure_prefect
from configs.errors import BadInput, CogumiError
from deployments.commands import data
from deployments.terminal.console import complain, complain_at_length, say, say_json
from deployments.terminal.shutdown import TERMINATED, work_begins

INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # a disk full or read-only, as where it is foreseen
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build, compress and serve a small specialist language-model system.",
)
app.add_typer(data.app, name="data")


def _show_version(asked: bool) -> None:
    if asked:
        say(f"cogumi {installed('cogumi')}")
        raise typer.Exit


Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Override one setting of the profile; repeatable."),
]


@app.callback()
def versioned(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Build, compress and serve a small specialist language-model system."""


@app.command()
def run(
    profile: Annotated[
        str, typer.Option("--profile", "-p", help="What to build: a profile's name, or a YAML file.")
    ] = "nano",
    phase: Annotated[
        list[str] | None, typer.Option("--phase", help="Stop after this phase (and what it needs); repeatable.")
    ] = None,
    set_: Set = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do every step again, whatever the cache holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Log as JSON lines, and print the result as JSON.")] = False,
) -> None:
    """Build everything a profile describes, phase by phase; finished steps come from the cache."""
    if json:
        os.environ["COGUMI_LOG"] = "json"
        configure_prefect()
    from deployments.commands.run import run_pipeline

    run_pipeline(profile, phase or [], set_ or [], fresh, json)


@app.command()
def plan(
    profile: Annotated[
        str, typer.Option("--profile", "-p", help="What to plan: a profile's name, or a YAML file.")
    ] = "nano",
    set_: Set = None,
    gpu: Annotated[
        str, typer.Option("--gpu", help="Accelerator to plan for, where the profile uses one: h100, h200, a100, 4090.")
    ] = "h100",
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say what a run will ask, cost, take and leave, before anything is spent; refuse what cannot be reached."""
    from configs.schema import load
    from deployments.commands.plan import plan as make
    from deployments.commands.plan_page import show

    made = make(load(profile, set_), set_ or [], gpu)
    say_json(made) if json else show(made)


@app.command()
def lineage(
    identity: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Beginning of a digest, or the id of a row, a question, a teacher call or a served answer.",
        ),
    ] = None,
    forward: Annotated[
        bool, typer.Option("--forward", help="What contains it and was made of it, in place of what it was made of.")
    ] = False,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="Every artifact with rows of this teacher, and what was made of them."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON.")] = False,
) -> None:
    """Follow a release, artifact, row or answer back to teacher calls and their price, or forward.

    The calls are read from the journal that COGUMI_JOURNAL names, or the state folder's.
    """
    from configs.errors import BadInput
    from deployments.commands.lineage import trace, trace_teacher
    from deployments.commands.lineage_page import show

    if (identity is None) == (teacher is None):
        raise BadInput("give either an ID or --teacher NAME")
    found = trace_teacher(teacher) if teacher else trace(identity or "", forward)
    say_json(found) if json else show(found)


@app.command()
def report(
    run: Annotated[
        str | None,
        typer.Argument(help="A release by its digest, or a run by its id or name; the current release by default."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also copy the report there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is known as JSON.")] = False,
) -> None:
    """Say where the report of a release or a run is, or how and where a run ended.

    Runs are read from the journal that COGUMI_JOURNAL names, or the state folder's.
    """
    from deployments.commands.report import report as tell

    work_begins()
    tell(run, output, json)


@app.command()
def metrics(
    port: Annotated[int, typer.Option(help="Port that Prometheus scrapes.", min=1, max=65535)] = 9464,
    host: Annotated[str, typer.Option(help="Address to bind to; loopback unless told.")] = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Print the metrics and end, for a textfile collector.")] = False,
) -> None:
    """Export dollars, calls, step seconds, gates and releases for Prometheus, in the foreground.

    They are read from the journal that COGUMI_JOURNAL names, or the state folder's.
    """
    from deployments.monitoring.exporter import serve, show
    from deployments.up.servers.addresses import given

    work_begins()
    show() if once else serve(given("--host", host), port)


@app.command()
def chat(
    prompt: Annotated[str | None, typer.Option("--prompt", help="Ask one question and end.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Show the router's decision with every answer.")] = False,
    release: Annotated[
        str | None,
        typer.Option("--release", help="Digest (or its beginning) of a release; the current one by default."),
    ] = None,
) -> None:
    """Talk to the release that was built here, through llama.cpp, routed."""
    from deployments.commands.chat import chat as talk

    work_begins()
    talk(prompt, why, release)


@app.command()
def nightly(
    profile: Annotated[
        str,
        typer.Option(
            "--profile", "-p", help="What the current release was built from: a profile's name, or a YAML file."
        ),
    ] = "nano",
    set_: Set = None,
) -> None:
    """Look at what was served, retrain what moved, and replace the release if a better one comes of it."""
    from deployments.commands.nightly import run_nightly

    run_nightly(profile, set_ or [])


@app.command()
def releases() -> None:
    """List the releases that are kept, the current one marked."""
    from deployments.commands.releases import show

    show()


@app.command()
def rollback(
    release: Annotated[
        str | None, typer.Argument(help="Digest (or its beginning) of a kept release; the one before by default.")
    ] = None,
) -> None:
    """Make an earlier release the current one again.

    It is noted in the journal that COGUMI_JOURNAL names, or the state folder's.
    """
    from deployments.commands.releases import rollback as move_back

    work_begins()
    move_back(release)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the API and the UI.", min=1, max=65535)] = 4200,
    host: Annotated[str, typer.Option(help="Address to bind to; loopback unless told.")] = "127.0.0.1",
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="PostgreSQL for the server; SQLite unless told. A password: see the README."),
    ] = None,
    server_only: Annotated[bool, typer.Option("--server-only", help="No worker on this machine.")] = False,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", metavar="NAME", help="A worker for this pool only; repeatable.")
    ] = None,
    api: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Start no server: join this one with workers, or with --server-only prepare it and end."
        ),
    ] = None,
    metrics: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="Also answer Prometheus there, on loopback, as `cogumi metrics` does.",
            min=1,
            max=65535,
        ),
    ] = None,
) -> None:
    """Start server, pools, workers and deployments on this machine, in the foreground; or workers that join a server
    elsewhere."""
    from deployments.up.servers.addresses import check_host, given
    from deployments.up.up import up as start

    asked = [("--host", host), ("--database", database), ("--api", api), *(("--pool", one) for one in pool or [])]
    for option, value in asked:
        if value is not None:
            given(option, value)
    check_host(host)
    start(host=host, port=port, database=database, api=api, pools=pool or [], workers=not server_only, metrics=metrics)


@app.command()
def down() -> None:
    """End what ``cogumi up`` started, from another shell."""
    from deployments.up.up import down as stop

    stop()


def outcome() -> int:
    """Run the command; its exit code, its error as one line on stderr."""
    try:
        configure_prefect()
        code = int(app(standalone_mode=False) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written is a fault like any other
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except CogumiError as error:
        complain(str(error))
        code = error.exit_code
    except (
        typer.Abort,
        KeyboardInterrupt,
    ):  # typer itself returns 130 for the latter, where it is the one that catches it
        code = INTERRUPTED
    except typer.TyperException as error:
        if message := error.format_message():  # nothing where the help was shown instead
            complain(message)
        code = 2
    except BrokenPipeError:
        code = 1  # who read has gone, and needs no word of it
    except OSError as error:
        logging.getLogger("cogumi").debug("fault", exc_info=True)
        complain(f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}")
        code = BadInput.exit_code if error.errno in NO_ROOM else 1
    except Exception as error:
        if (
            reason := disk.said(error, Path.cwd())
        ) is not None:  # a writer in native code, with a class of its own for it
            complain(f"{reason}; make room and run again: finished steps are kept")
            code = BadInput.exit_code
        else:
            complain_at_length()  # not foreseen, so everything helps
            code = 1
    if code in (INTERRUPTED, *TERMINATED):
        with suppress(OSError):  # of a terminal that has gone
            complain("interrupted")
    return code

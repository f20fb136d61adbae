"""The command line: ``cogumi …``. Parses, calls, prints; the exit code says how it ended.

0 done · 1 fault · 2 bad input or usage · 3 a gate failed · 4 the budget is spent. Not here: any work of a phase.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from blocks.errors import CogumiError
from blocks.home import configure_prefect
from deployments import data_cli

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Build, compress and serve a small specialist language-model system.")
app.add_typer(data_cli.app, name="data")

Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Override one setting of the profile; repeatable.")]


@app.command()
def run(
    profile: Annotated[str, typer.Option("--profile", "-p", help="What to build: a profile's name, or a YAML file.")] = "nano",
    phase: Annotated[list[str] | None, typer.Option("--phase", help="Stop after this phase (and what it needs); repeatable.")] = None,
    set_: Set = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do every step again, whatever the cache holds.")] = False,
) -> None:
    """Build everything a profile describes, phase by phase; finished steps come from the cache."""
    from deployments.running import run_pipeline

    run_pipeline(profile, phase or [], set_ or [], fresh)


@app.command()
def report(
    release: Annotated[str | None, typer.Argument(help="Digest (or its beginning) of a release; the current one by default.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also copy report.html there.")] = None,
) -> None:
    """Say where the report of a release is, and what it says in short."""
    from deployments.running import show_report

    show_report(release, output)


@app.command()
def chat(
    prompt: Annotated[str | None, typer.Option("--prompt", help="Ask one question and end.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Show the router's decision with every answer.")] = False,
    release: Annotated[str | None, typer.Option("--release", help="Digest (or its beginning) of a release; the current one by default.")] = None,
) -> None:
    """Talk to the release that was built here, through llama.cpp, routed."""
    from deployments.chatting import chat as talk

    talk(prompt, why, release)


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the API and the UI.", min=1, max=65535)] = 4200,
    host: Annotated[str, typer.Option(help="Address to bind to; loopback unless told.")] = "127.0.0.1",
) -> None:
    """Start server, pools, workers and deployments on this machine, in the foreground."""
    from deployments.local import up as start

    start(host, port)


@app.command()
def down() -> None:
    """End what ``cogumi up`` started, from another shell."""
    from deployments.local import down as stop

    stop()


def main() -> None:
    """Entry point of the ``cogumi`` command."""
    try:
        configure_prefect()
        sys.exit(app(standalone_mode=False) or 0)
    except CogumiError as error:
        print(f"cogumi: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except typer.TyperException as error:
        print(f"cogumi: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        logging.getLogger("cogumi").debug("fault", exc_info=True)
        print(f"cogumi: {error.strerror or error} ({error.filename})" if error.filename else f"cogumi: {error}", file=sys.stderr)
        sys.exit(1)

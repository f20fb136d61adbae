"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blocks.storage.home import json_lines

log = logging.getLogger("cogumi.progress")
EVERY_SECONDS = 10.0


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Yield ``advance(n=1, note="")``; ``total`` in the same unit, None where it is not known."""
    if sys.stderr is not None and sys.stderr.isatty() and not json_lines():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(title, total=total, note="")
            yield lambda n=1, note="": bars.update(bar, advance=n, note=note)
        return
    done, last = 0, time.monotonic()

    def advance(n: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += n
        if time.monotonic() - last >= EVERY_SECONDS:
            last = time.monotonic()
            log.info("%s: %d%s %s", title, done, f" of {total}" if total is not None else "", note)

    yield advance

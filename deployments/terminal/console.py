"""What a person at a terminal sees: of a run one plain line per event, and no tracebacks of expected errors, JSON lines
where asked for; of a page its tables, or their rows as lines where the terminal is too narrow for them.

Whatever a command prints goes through here, so that no text of others commands the terminal. Not here: the logs that
Prefect keeps with every run; they hold everything.
"""

import logging
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from blocks.prefect.log_lines import JsonLines
from blocks.printable import harmless_json, one_line, plain
from blocks.storage.home import json_lines

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.table import Table

UNBOUND = 10_000  # columns


def attach() -> None:
    """Print Cogumi's own log lines on stderr and keep Prefect's console quiet. Call after ``import prefect``."""
    for name in ["", *logging.root.manager.loggerDict]:
        for handler in logging.getLogger(name).handlers:
            if type(handler).__name__ == "PrefectConsoleHandler":
                handler.setLevel(logging.CRITICAL + 1)
    own = logging.getLogger("cogumi")
    own.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json_lines() else _Lines("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.propagate = False
    logging.raiseExceptions = (
        False  # Prefect would tell of every line that its server did not take, in the middle of ours
    )
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


class _Lines(logging.Formatter):
    """Log lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, plain."""
        return plain(super().format(record))


def say(text: str) -> None:
    """Print a command's result."""
    print(plain(text), flush=True)


def say_json(found: "BaseModel", indent: int | None = 1) -> None:
    """Print a command's result as JSON."""
    print(harmless_json(found.model_dump_json(indent=indent)), flush=True)


def remark(text: str) -> None:
    """Print a line beside the result, on stderr."""
    with suppress(OSError, ValueError):  # nobody listens, or the disk is full: there is no other place to say it
        print(one_line(text), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Print how a command failed: one line on stderr."""
    remark(f"cogumi: {text}")


def complain_at_length() -> None:
    """Print the exception that nobody foresaw, with all that helps to find it."""
    with suppress(OSError, ValueError):
        print(plain(traceback.format_exc()), file=sys.stderr, end="", flush=True)


def page(width: int) -> "Console":
    """Where a page is printed, ``width`` columns wide where that is no terminal."""
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """Text is what it says: neither markup nor a control character in it does anything."""

        def render_str(self, text: str, **how: Any) -> Text:
            """As its parent's."""
            return super().render_str(plain(text), **how)

    terminal = sys.stdout is not None and sys.stdout.isatty()
    return Plain(width=None if terminal else width, highlight=False, markup=False, emoji=False)


def tabulate(console: "Console", table: "Table") -> None:
    """Print a table. Cut off, its numbers would say something else, so where it is too wide each row is lines of its
    own: the first cell, then every other with its column's name."""
    from rich.text import Text

    if console.measure(table, options=console.options.update_width(UNBOUND)).maximum <= console.width:
        console.print(table)
        return
    if table.title is not None:
        console.print(table.title, style="italic")
    names = [str(column.header) for column in table.columns]
    rows = [*zip(*(column.cells for column in table.columns), strict=True)]
    if table.show_footer:
        rows.append(tuple(column.footer for column in table.columns))
    for first, *others in rows:
        told = ", ".join(f"{name} {cell}".strip() for name, cell in zip(names[1:], others, strict=True) if cell)
        console.print(Text(plain(f"{first}: {told}")))

"""What a person at a terminal sees: of a run one plain line per event, and no tracebacks of expected errors, JSON lines where asked for;
of a page its tables, or their rows as lines where the terminal is too narrow for them.

Not here: the logs that Prefect keeps with every run; they hold everything.
"""

import logging
import sys
import unicodedata
from typing import TYPE_CHECKING

from blocks.home import json_lines
from blocks.log_lines import JsonLines

if TYPE_CHECKING:
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
    handler.setFormatter(JsonLines() if json_lines() else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    own.addHandler(handler)
    own.propagate = False
    logging.raiseExceptions = False  # Prefect would tell of every line that its server did not take, in the middle of ours
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


def plain(text: str) -> str:
    """Text from a model, without the control characters that could command a terminal."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character) != "Cc")


def page(width: int) -> "Console":
    """Where a page is printed, ``width`` columns wide where that is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout is not None and sys.stdout.isatty() else width, highlight=False)


def tabulate(console: "Console", table: "Table") -> None:
    """Print a table. Cut off, its numbers would say something else, so where it is too wide each row is lines of its own: the first cell,
    then every other with its column's name."""
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
        console.print(Text(f"{first}: {told}"))

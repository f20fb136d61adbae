"""Self-contained HTML pages from the templates beside this file. Not here: what they show (figures.py, plots.py)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blocks.records import Interval
from tasks.evaluation.ledger import percent


def page(template: str, title: str, subtitle: str, **content: Any) -> str:
    """The HTML of a template with ``content``; text in it is escaped, a :func:`figure` is not."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= {"f": format, "percent": _percent, "numeric_columns": _numeric_columns}
    return made.get_template(template).render(title=title, subtitle=subtitle, **content)


def figure(svg: str) -> str:
    """An SVG figure without its XML header, for a page."""
    from markupsafe import Markup

    return Markup(svg[svg.index("<svg") :])


def _percent(interval: Any, sign: str = "") -> str:
    return percent(Interval.model_validate(interval), sign)


def _numeric_columns(rows: Sequence[Sequence[object]]) -> list[int]:
    """The columns whose cells are all empty or begin like numbers."""
    return [number for number, cells in enumerate(zip(*rows, strict=True)) if all(map(_numeric, map(str, cells)))]


def _numeric(text: str) -> bool:
    return not text or text.lstrip("+-−$").lstrip()[:1].isdigit()

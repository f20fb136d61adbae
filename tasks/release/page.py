"""A self-contained HTML page from headings, paragraphs, tables and figures. Not here: what a report says
(report.py)."""

from collections.abc import Iterable, Sequence
from html import escape

LONG = 30  # characters from which a cell is broken into lines

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --faint: #66707a; --line: #d9dee3; --paper: #ffffff; --tile: \
#f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #9aa4ad; --line: #39424a; --paper: #15191d; \
--tile: #1f252b; } svg { background: #fff; border-radius: 4px } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: \
2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid \
var(--line); padding-bottom: .2rem }
p { max-width: 46rem } .faint { color: var(--faint) } svg { max-width: 100%; height: auto }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 } .tile { background: var(--tile); \
border-radius: 6px; padding: .6rem 1rem; min-width: 8rem }
.tile b { display: block; font-size: 1.35rem; font-weight: 600 } .tile span { color: var(--faint); font-size: .85rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .88rem; margin: .8rem 0 }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; white-space: nowrap }
th { color: var(--faint); font-weight: 500; border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } td.long { white-space: normal; min-width: 9rem }
"""


def page(title: str, subtitle: str, body: Iterable[str]) -> str:
    """The whole document; ``body`` is HTML, title and subtitle are text."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    )
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1><p '
        f'class="faint">{escape(subtitle)}</p>{"".join(body)}</body></html>\n'
    )


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, faint: bool = False) -> str:
    """A paragraph of plain text."""
    return f"<p{' class=faint' if faint else ''}>{escape(text)}</p>"


def points(lines: Sequence[str]) -> str:
    """A bulleted list of plain text."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Large numbers with what they are: (number, label)."""
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in values
        )
        + "</div>"
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; cells that begin like numbers stand right."""
    body = [[str(cell) for cell in row] for row in rows]
    numeric = [all(_numeric(row[column]) for row in body) and bool(body) for column in range(len(titles))]

    def cell(tag: str, text: str, column: int) -> str:
        kind = "n" if numeric[column] else "long" if len(text) > LONG else ""
        return f"<{tag}{f' class={kind}' if kind else ''}>{escape(text)}</{tag}>"

    head = "".join(cell("th", title, column) for column, title in enumerate(titles))
    lines = "".join(
        "<tr>" + "".join(cell("td", text, column) for column, text in enumerate(row)) + "</tr>" for row in body
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'


def figure(svg: str) -> str:
    """An SVG figure without its XML header."""
    return svg[svg.index("<svg") :]


def _numeric(text: str) -> bool:
    return not text or text.lstrip("+-−$").lstrip()[:1].isdigit()

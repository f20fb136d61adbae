"""A trace on the terminal: artifacts, teachers, calls, row and answers. Not here: finding them (lineage.py)."""

from rich.table import Table
from rich.tree import Tree

from blocks.printable import plain
from deployments.commands.lineage import Made, Trace
from deployments.terminal.console import page, tabulate

WIDTH = 160  # columns where there is no terminal
EXCERPT = 300  # characters of a text


def show(trace: Trace) -> None:
    """Print the trace."""
    console = page(WIDTH)
    if trace.row is not None:
        for name in ("id", "time", "release", "choice", "prompt", "draft", "thinking", "response", "answer", "reason"):
            if trace.row.get(name):
                console.print(f"{name:<10}{_cut(str(trace.row[name]))}", soft_wrap=True)
    if trace.calls:
        tabulate(console, _calls(trace))
    for answer in trace.answers:
        verdict = "right" if answer.correct else "wrong"
        console.print(
            f"answered  {verdict} by {' + '.join(answer.models)} in evaluation-{answer.evaluation[:12]}: "
            f"{_cut(answer.text)}",
            soft_wrap=True,
        )
    if trace.artifacts:
        nested = trace.what in ("artifact", "served answer") and not trace.forward
        if nested:
            console.print(_tree(trace.artifacts), soft_wrap=True)
        else:
            tabulate(console, _artifacts(trace))
    if trace.teachers:
        tabulate(console, _teachers(trace))


def _tree(artifacts: tuple[Made, ...]) -> Tree:
    """The last artifact with its parents below it; one that stands there already is not opened again."""
    by_digest = {one.digest: one for one in artifacts}
    opened: set[str] = set()

    def grow(tree: Tree, one: Made) -> None:
        for digest in one.parents:
            parent = by_digest.get(digest)
            if parent is None:
                tree.add(f"{digest[:12]} is gone from the store")
                continue
            again = digest in opened
            branch = tree.add(_line(parent) + (" (as above)" if again and parent.parents else ""))
            if not again:
                opened.add(digest)
                grow(branch, parent)

    root = artifacts[-1]
    tree = Tree(_line(root))
    grow(tree, root)
    return tree


def _line(one: Made) -> str:
    paid = f"  ${one.dollars:.4f}" if one.dollars else ""
    return f"{one.kind}-{one.digest[:12]}  {one.step}  {one.created[:19]}{paid}{'  current' if one.current else ''}"


def _artifacts(trace: Trace) -> Table:
    made_of = "contains, and was made of" if trace.forward else "contained in"
    table = Table(title=f"artifacts: {made_of}", title_justify="left")
    for name in ("artifact", "step", "created"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("")
    for one in trace.artifacts:
        table.add_row(
            f"{one.kind}-{one.digest[:12]}",
            one.step,
            one.created[:19],
            str(one.rows or ""),
            "current release" if one.current else "",
        )
    return table


def _teachers(trace: Trace) -> Table:
    title = "teachers of the models that answered it" if trace.what == "row" else "teachers"
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("teacher", footer="in all")
    paid = trace.teachers
    table.add_column("calls behind rows learned from", footer=f"{sum(one.calls for one in paid):,}", justify="right")
    table.add_column("$", footer=f"{sum(one.dollars for one in paid):.4f}", justify="right")
    table.add_column("calls asked on the way", footer=f"{sum(one.asked_calls for one in paid):,}", justify="right")
    table.add_column("$", footer=f"{sum(one.asked_dollars for one in paid):.4f}", justify="right")
    for one in trace.teachers:
        table.add_row(
            one.teacher, f"{one.calls:,}", f"{one.dollars:.4f}", f"{one.asked_calls:,}", f"{one.asked_dollars:.4f}"
        )
    return table


def _calls(trace: Trace) -> Table:
    table = Table(title="teacher calls", title_justify="left", show_footer=True)
    table.add_column("call")
    table.add_column("teacher")
    table.add_column("purpose", footer="in all")
    for name in ("tokens in", "tokens out"):
        table.add_column(name, justify="right")
    table.add_column("$", justify="right", footer=f"{sum(call.dollars for call in trace.calls):.6f}")
    table.add_column("when (UTC)")
    for call in trace.calls:
        table.add_row(
            call.call,
            call.teacher,
            call.purpose,
            _known(call.tokens_in),
            _known(call.tokens_out),
            f"{call.dollars:.6f}",
            (call.when or "")[:19],
        )
    return table


def _known(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _cut(text: str) -> str:
    text = plain(" ".join(text.split()))
    return text if len(text) <= EXCERPT else text[:EXCERPT] + " …"

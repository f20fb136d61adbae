"""A plan on the terminal: one line per phase, the teachers, the size, what it assumes. Not here: the numbers
(plan.py)."""

from rich.table import Table

from deployments.commands.plan import Column, Plan
from deployments.terminal.console import page, tabulate

WIDTH = 190  # columns where there is no terminal


def show(plan: Plan) -> None:
    """Print the plan."""
    console = page(WIDTH)
    tabulate(console, _phases(plan))
    tabulate(console, _teachers(plan))
    console.print(_size(plan), soft_wrap=True)
    count = sum(plan.held_out.values())
    console.print(
        f"held out  {count} questions: a difference shows from about ±{100 * plan.interval:.1f} points (95%, paired)",
        soft_wrap=True,
    )
    console.print(
        f"budget    ${plan.all.dollars:,.2f} expected, ${plan.all.most_dollars:,.2f} at most, cap "
        f"${plan.cap_dollars:,} (teachers.cap_dollars)",
        soft_wrap=True,
    )
    for note in plan.notes:
        console.print(f"note      {note}", soft_wrap=True)
    console.print("assumed")
    for line in plan.assumptions:
        console.print(f"  - {line}", soft_wrap=True)


def _phases(plan: Plan) -> Table:
    title = f"profile {plan.profile}" + (
        f" with {', '.join(plan.overrides)}" if len(plan.overrides) < 6 and plan.overrides else ""
    )
    table = Table(title=title, title_justify="left", show_footer=True)
    hours = f"{plan.accelerator} hours" if plan.accelerator else "GPU hours"
    seen = [_row(phase.phase, phase) for phase in plan.phases]
    footer = _row("in all", plan.all)
    titles = (
        "phase",
        "calls",
        "at most",
        "M tokens in",
        "M tokens out",
        "$",
        "$ at most",
        hours,
        "CPU minutes",
        "wall time",
        "GPU GiB",
        "RAM GiB",
        "disk GiB",
    )
    for name, end in zip(titles, footer, strict=True):
        table.add_column(name, footer=end, justify="left" if name == "phase" else "right", no_wrap=True)
    for row in seen:
        table.add_row(*row)
    return table


def _row(name: str, one: Column) -> tuple[str, ...]:
    return (
        name,
        f"{one.calls:,.0f}",
        f"{one.most_calls:,.0f}",
        _millions(one.prompt_tokens),
        _millions(one.completion_tokens),
        f"{one.dollars:,.2f}",
        f"{one.most_dollars:,.2f}",
        f"{one.accelerator_s / 3600:.2f}",
        f"{one.cpu_s / 60:,.1f}",
        _duration(one.wall_s),
        _gib(one.accelerator_bytes),
        _gib(one.cpu_bytes),
        _gib(one.disk_bytes),
    )


def _teachers(plan: Plan) -> Table:
    table = Table(title="teacher calls", title_justify="left")
    for name in ("phase", "role", "teacher"):
        table.add_column(name)
    for name in ("calls", "at most", "tokens in", "tokens out", "$", "$ at most"):
        table.add_column(name, justify="right")
    for phase in plan.phases:
        for one in phase.estimate.asked:
            table.add_row(
                phase.phase,
                one.role,
                one.teacher,
                f"{one.calls:,.0f}",
                f"{one.most_calls:,.0f}",
                f"{one.prompt_tokens:,.0f}",
                f"{one.completion_tokens:,.0f}",
                f"{one.dollars:,.4f}",
                f"{one.most_dollars:,.2f}",
            )
    return table


def _size(plan: Plan) -> str:
    floors = ", ".join(
        f"{one.quantisation} {one.megabytes:,.2f} MB ({one.bits_per_parameter:.2f} bits per parameter)"
        for one in plan.floors
    )
    return (
        f"release   about {plan.release_bytes / 2**20:,.2f} MiB, never below "
        f"{plan.least_release_bytes / 2**20:,.2f}; floor of the packed model: {floors}"
    )


def _millions(value: float) -> str:
    return f"{value / 1e6:,.2f}"


def _gib(value: float) -> str:
    return f"{value / 2**30:,.2f}" if value else ""


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.1f} min" if seconds < 3600 * 3 else f"{seconds / 3600:,.1f} h"

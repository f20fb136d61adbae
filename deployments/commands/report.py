"""``cogumi report``: the report of a release, or what is known of a run, also of one that ended at a gate.

Not here: making the HTML page (tasks/release/report.py), and the rows of a run's history (blocks/journal/history.py).
"""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from blocks import store
from blocks.journal import history
from blocks.journal.history import Happening
from blocks.journal.lineage import Graph
from blocks.printable import harmless_json, plain
from blocks.records import Artifact, Record
from configs.errors import BadInput, CogumiError
from configs.reading import cut, quoted
from deployments.terminal.console import remark, say, say_json
from deployments.terminal.output_files import write
from tasks.release.current import Entry, current, releases
from tasks.release.figures import Figures, read_figures

NAMED = 5  # runs named where none matches


class ReleaseReport(Entry):
    """A kept release, and every figure of its report; None where the report is from before they were kept."""

    figures: Figures | None


class RunReport(Record):
    """What a run's history says. ``ended``: how, in one line; ``report``: the HTML page, and ``figures`` its numbers,
    where it made or kept a release."""

    run: str
    name: str
    began: str
    seconds: float
    ended: str
    phases: dict[str, dict[str, int]]
    gates: list[str]
    artifacts: list[str]
    dollars: Decimal
    release: str | None
    report: str | None
    figures: Figures | None


def report(named: str | None, output: Path | None, as_json: bool) -> None:
    """Show the report of a release (by digest) or a run (by id or name); the current release's by default, or the last
    run's where there is no release yet.

    Raises:
        BadInput: there is nothing of that name, or ``output`` cannot be written.
    """
    if named is not None and not (named and _releases_named(named)):
        return _show_run(_find(named), output, as_json)
    if named is None and not releases().entries and (rows := _latest()):
        return _show_run(rows, output, as_json)
    entry = current(named)
    _show_page(entry.report, output, as_json, entry)
    if named is None:
        _mention_last_run(entry)
    return None


def _mention_last_run(entry: Entry) -> None:
    """Say how the last run ended where it did not end with ``entry``. The report is shown by now: a journal that cannot
    be read takes it from nobody."""
    try:
        rows = _latest()
        last = _run_report(rows) if rows else None
    except CogumiError as error:
        remark(f"nothing is known of the last run: {error}")
        return
    if last is not None and last.release != entry.release.digest:
        remark(f"the last run, {last.name}, {last.ended}; see: cogumi report {last.name}")


def _releases_named(named: str) -> list[Entry]:
    return [
        one for one in releases().entries if one.release.digest.startswith(named) or one.release.short.startswith(named)
    ]


def _find(named: str) -> list[Happening]:
    """The history of the run whose id begins with ``named`` or whose name it is."""
    table = history.happenings.c
    rows = (
        history.read(
            (table.run_name == named) | table.run.startswith(named, autoescape=True) | (table.flow_run == named)
        )
        if named
        else []
    )
    runs = list(dict.fromkeys(row.run for row in rows))
    if len(runs) > 1:
        listed = ", ".join(f"{row.run_name} {row.run}" for row in {row.run: row for row in rows}.values())
        raise BadInput(
            f"{len(runs)} runs are called or begin with {quoted(named)}: {cut(listed, 1000)}; give more of the id"
        )
    if not runs:
        known = {row.run: row.run_name for row in history.read(table.run != history.OUTSIDE.run)}
        last = ", ".join(list(known.values())[-NAMED:]) or "none"
        raise BadInput(f"no release or run {quoted(named)} here; the last runs: {last}")
    return history.read(table.run == runs[0])


def _latest() -> list[Happening]:
    newest = history.last_run()
    return history.read(history.happenings.c.run == newest) if newest else []


def _run_report(rows: list[Happening]) -> RunReport:
    """The report of one run."""
    began = rows[0].at - rows[0].seconds
    phases: dict[str, Counter[str]] = {}
    for row in rows:
        if row.what == "step":
            phases.setdefault(row.flow, Counter())[row.outcome] += 1
    released = next(
        (row for row in reversed(rows) if row.what == "release" and row.outcome in (history.PROMOTED, history.KEPT)),
        None,
    )
    made = dict.fromkeys(
        short for row in rows if row.what == "step" and row.outcome == history.RAN for short in row.detail["artifacts"]
    )
    page = _page(released.detail["report"]) if released else None
    return RunReport(
        run=rows[0].run,
        name=rows[0].run_name,
        began=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        seconds=round(rows[-1].at - began, 1),
        ended=_ended(rows, released),
        phases={name: dict(counts) for name, counts in phases.items()},
        gates=[f"{row.name} {row.outcome}: {_checks(row)}" for row in rows if row.what == "gate"],
        artifacts=list(made),
        dollars=_dollars(made),
        release=released.detail["release"] if released else None,
        report=page,
        figures=_figures(released.detail["report"]) if released and page else None,
    )


def _ended(rows: list[Happening], released: Happening | None) -> str:
    """How the run ended, as far as its history tells."""
    last = rows[-1]
    stopped = next(
        (row for row in reversed(rows) if row.outcome in (history.FAILED, history.SPENT, history.REFUSED)), None
    )
    if released is not None and (stopped is None or released.id > stopped.id):
        return f"ended with release {released.detail['release'][:12]} ({released.outcome})"
    gate = next((row for row in reversed(rows) if row.what == "gate" and row.outcome == history.FAILED), None)
    if stopped is not None and stopped.what == "release":
        return f"refused its candidate: {stopped.detail['why']}"
    if gate is not None and stopped is not None:
        return f"ended at gate {gate.name} of phase {gate.flow}: {_checks(gate, missed=True)}"
    if stopped is not None:
        reason = stopped.detail.get("message") or stopped.detail.get("error", "")
        return f"ended in step {stopped.name} of phase {stopped.flow}: {reason}"
    return f"got as far as {'asking' if last.what == 'teachers' else last.what} {last.name} of phase {last.flow}"


def _checks(row: Happening, missed: bool = False) -> str:
    checks = [check for check in row.detail["checks"] if not (missed and check["passed"])]
    return "; ".join(
        f"{check['name']} = {check['value']:.4g}, must be {check['rule']} {check['threshold']:.4g}" for check in checks
    )


def _dollars(artifacts: dict[str, None]) -> Decimal:
    """What the answers in the artifacts cost, as far as they are still in the store."""
    found = Graph().manifests.values() if artifacts else ()
    return sum((one.dollars for one in found if f"{one.kind}-{one.digest[:12]}" in artifacts), Decimal(0))


def _page(digest: str) -> str | None:
    """Where report.html lies, if the store still has it."""
    try:
        return f"{store.find(digest).uri}/report.html"
    except BadInput:
        return None


def _figures(digest: str) -> Figures | None:
    try:
        return read_figures(store.find(digest))
    except BadInput:  # damaged: what is known of the run is told all the same
        return None


def _show_run(rows: list[Happening], output: Path | None, as_json: bool) -> None:
    told = _run_report(rows)
    text = harmless_json(told.model_dump_json(indent=1)) if as_json else plain(_text(told))
    if output is not None:
        _write(output, f"{text}\n".encode())
    say(text)


def _text(told: RunReport) -> str:
    phases = "; ".join(
        f"{name} {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}"
        for name, counts in told.phases.items()
    )
    lines = [
        f"run       {told.name}  {told.run}",
        f"began     {told.began}, took {told.seconds:.0f} s",
        f"end       {told.name} {told.ended}",
        f"steps     {phases}",
        f"answers   ${told.dollars:.4f} in what its steps made anew",
    ]
    lines += [f"gate      {gate}" for gate in told.gates]
    lines += [f"made      {', '.join(told.artifacts)}"] if told.artifacts else []
    lines += [f"report    {told.report}"] if told.report else []
    return "\n".join(lines)


def _show_page(report: Artifact, output: Path | None, as_json: bool, entry: Entry) -> None:
    page = store.open(report) / "report.html"
    if output is not None:
        _write(output, page.read_bytes())
    here = entry.model_copy(update={"release": store.here(entry.release), "report": store.here(report)})
    say_json(ReleaseReport(**dict(here), figures=read_figures(report))) if as_json else say(str(output or page))


def _write(output: Path, content: bytes) -> None:
    if not output.parent.is_dir():
        raise BadInput(f"cannot write {output}: there is no folder {output.parent}")
    write(output, content)

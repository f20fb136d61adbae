"""What happened in runs: every step, gate, release, spent budget and what teachers were asked, one row each in the
journal's database; and as Prefect events.

A run's history is kept beside its teacher calls: in ``COGUMI_JOURNAL``, else in the journal that the run's profile
names (``teachers.journal``), else in the state folder's. Reports, metrics and lineage, which know no profile, look into
the first or the last; so a journal that several machines or runs share is best named by ``COGUMI_JOURNAL``. It outlives
the processes that wrote it and the server they ran against. A note that cannot be written is left out and never fails a
run. Not here: teacher calls (journal.py), artifacts (store.py), what is made of the rows.
"""

import getpass
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Float, Index, Integer, String, Table, Text, insert, select

from blocks.journal.budget import metadata
from blocks.journal.journal import Journal
from blocks.records import Artifact, GateReport, Record
from blocks.storage.home import home

if TYPE_CHECKING:
    from prefect.context import FlowRunContext

log = logging.getLogger("cogumi.history")
What = Literal["step", "gate", "release", "budget", "teachers"]
RAN, CACHED, FAILED, PASSED, PROMOTED, KEPT, REFUSED, SPENT, ASKED = (
    "ran",
    "cached",
    "failed",
    "passed",
    "promoted",
    "kept",
    "refused",
    "spent",
    "asked",
)
ROLLED_BACK = "rolled back"
PATIENCE = 1.5  # seconds that a rollback waits for the journal: with these too it takes under two

happenings = Table(
    "happenings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float(53), nullable=False),
    Column("run", String(36), nullable=False),
    Column("run_name", String(200), nullable=False),
    Column("flow_run", String(36), nullable=False),
    Column("flow", String(200), nullable=False),
    Column("what", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("detail", Text, nullable=False),
    Index("happenings_run", "run"),
)


class Where(NamedTuple):
    """A run: the outermost flow run's id and name, this flow run's id, and the flow's name; all empty for what was done
    outside of runs."""

    run: str
    run_name: str
    flow_run: str
    flow: str


OUTSIDE = Where("", "", "", "")


class Happening(Record):
    """One row. ``seconds``: of a step. ``detail``: a step's artifacts and error, a gate's checks, a release's digest
    and report (of a rollback also who, and in whose place), by teacher what was asked."""

    id: int
    at: float
    run: str
    run_name: str
    flow_run: str
    flow: str
    what: What
    name: str
    outcome: str
    seconds: float
    detail: dict[str, Any]


_kept_in: dict[str, str | None] = {}  # id of a run → the journal that its profile names
_outermost: dict[
    str, tuple[str, str]
] = {}  # id of this process's outermost flow run → id and name of the run above all


def where() -> Where | None:
    """The run that this code is in; None outside of flows."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    run = context.flow_run
    outer = _outermost_here(context).flow_run
    assert outer is not None
    if str(outer.id) not in _outermost:
        _outermost[str(outer.id)] = (
            (str(outer.id), outer.name)
            if outer.parent_task_run_id is None
            else _read_outermost(str(outer.parent_task_run_id))
        )
    return Where(*_outermost[str(outer.id)], str(run.id), context.flow.name if context.flow else "")


def keep_in(journal: str | None) -> None:
    """Keep the history of the run that this code is in where its profile keeps its teacher calls (``teachers.journal``,
    a database URL)."""
    try:
        at = where()
    except Exception as fault:  # a run does not fail for its notes
        log.warning("the run's history may be kept apart from its journal: %s", fault)
    else:
        if at is not None:
            _kept_in[at.run] = journal


def known_where() -> dict[str, str | None]:
    """The ids of the run that this code is in, as far as they are known without asking the server; for log lines."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return {}
    outer = _outermost_here(context).flow_run
    assert outer is not None
    run = (
        _outermost.get(str(outer.id), (str(outer.id), ""))[0]
        if outer.parent_task_run_id is None or str(outer.id) in _outermost
        else None
    )
    return {"run": run, "flow_run": str(context.flow_run.id), "flow": context.flow.name if context.flow else None}


def step_done(
    name: str, outcome: str, seconds: float, artifacts: Sequence[Artifact] = (), error: BaseException | None = None
) -> None:
    """Note the end of a step: ran, cached or failed."""
    detail: dict[str, Any] = {"artifacts": [artifact.short for artifact in artifacts]}
    if error is not None:
        detail["error"] = f"{type(error).__name__}: {error}"
    _note("step", name, outcome, seconds, detail)


def gate_done(report: GateReport) -> None:
    """Note a gate with its numbers and emit ``cogumi.gate.passed`` or ``cogumi.gate.failed``."""
    outcome = PASSED if report.passed else FAILED
    checks = [{**check.model_dump(), "passed": check.passed} for check in report.checks]
    _note("gate", report.gate, outcome, 0.0, {"checks": checks})
    numbers = {
        check.name: f"{check.value:.4g}, must be {check.rule} {check.threshold:.4g}"
        for check in report.checks
        if report.passed or not check.passed
    }
    _emit(f"cogumi.gate.{outcome}", {"gate": report.gate, **numbers})


def budget_spent(step: str, message: str) -> None:
    """Note a spent budget and emit ``cogumi.budget.spent``."""
    _note("budget", step, SPENT, 0.0, {"message": message})
    _emit("cogumi.budget.spent", {"step": step, "message": message})


def teachers_asked(role: str, by_teacher: dict[str, Any]) -> None:
    """Note what the teachers of ``role`` were asked (blocks/teachers/reporting/this_run.py)."""
    _note("teachers", role, ASKED, 0.0, {"teachers": by_teacher})


def release_promoted(release: Artifact, report: Artifact, moved: bool) -> None:
    """Note that ``release`` is the current one; where it was not before (``moved``), emit
    ``cogumi.release.promoted``."""
    _note(
        "release", release.short, PROMOTED if moved else KEPT, 0.0, {"release": release.digest, "report": report.digest}
    )
    if moved:
        _emit("cogumi.release.promoted", {"release": release.digest, "uri": release.uri, "report": report.uri})


def release_refused(candidate: Artifact | None, why: str) -> None:
    """Note that a candidate was not promoted and emit ``cogumi.release.refused``."""
    _note(
        "release",
        candidate.short if candidate else "",
        REFUSED,
        0.0,
        {"release": candidate.digest if candidate else None, "why": why},
    )
    _emit("cogumi.release.refused", {"release": candidate.digest if candidate else "", "why": why})


def release_rolled_back(release: Artifact, report: Artifact, replaced: str | None) -> None:
    """Note who made ``release`` the current one again, in place of the release with the digest ``replaced``. A journal
    that does not answer within ``PATIENCE`` holds nobody up: the row is written whole a little later, or not at all."""
    detail = {"release": release.digest, "report": report.digest, "replaced": replaced, "who": _who()}
    writer = threading.Thread(
        target=_note, args=("release", release.short, ROLLED_BACK, 0.0, detail, OUTSIDE), daemon=True
    )
    writer.start()
    writer.join(PATIENCE)
    if writer.is_alive():
        log.warning("the rollback to %s stands, but the journal does not answer, so it may not be noted", release.short)


def there(journal: str | None = None) -> bool:
    """Whether there is a journal to read; looking makes none."""
    return journal is not None or "COGUMI_JOURNAL" in os.environ or (home() / "journal.db").exists()


def read(*conditions: ColumnElement[bool], journal: str | None = None) -> list[Happening]:
    """The rows that meet all conditions, oldest first. ``journal``: the one that a profile names.

    Raises:
        BadInput, Transient: as :class:`blocks.journal.journal.Journal`.
    """
    if not there(journal):
        return []
    with _journal(journal).reading() as db:
        rows = db.execute(select(happenings).where(*conditions).order_by(happenings.c.id)).mappings().all()
    return [Happening.model_validate({**row, "detail": json.loads(row["detail"])}) for row in rows]


def so_far(what: What) -> list[Happening]:
    """The rows of a kind that this flow run has already; none outside of flows. Raises as :func:`read`."""
    at = where()
    return (
        []
        if at is None
        else read(happenings.c.flow_run == at.flow_run, happenings.c.what == what, journal=_kept_in.get(at.run))
    )


def last_run() -> str | None:
    """The id of the run that noted something last."""
    if not there():
        return None
    with _journal().reading() as db:
        return db.execute(
            select(happenings.c.run).where(happenings.c.run != OUTSIDE.run).order_by(happenings.c.id.desc()).limit(1)
        ).scalar()


def _note(what: What, name: str, outcome: str, seconds: float, detail: dict[str, Any], at: Where | None = None) -> None:
    try:
        at = at or where()
        if at is None:
            return
        row = {
            **at._asdict(),
            "at": time.time(),
            "what": what,
            "name": name,
            "outcome": outcome,
            "seconds": round(seconds, 3),
            "detail": json.dumps(detail),
        }
        with _journal(_kept_in.get(at.run)).writing() as db:
            db.execute(insert(happenings).values(**row))
    except Exception as fault:  # a run does not fail for its notes
        log.warning("%s %s %s is not noted: %s", what, name, outcome, fault)


def _emit(event: str, payload: dict[str, str]) -> None:
    """Emit in the background, from inside a run only: there its server exists."""
    try:
        at = where()
        if at is None:
            return
        from prefect.events import emit_event

        resource = {"prefect.resource.id": f"cogumi.run.{at.run}", "prefect.resource.name": at.run_name}
        related = [
            {
                "prefect.resource.id": f"prefect.flow-run.{at.run}",
                "prefect.resource.role": "flow-run",
                "prefect.resource.name": at.run_name,
            }
        ]
        emit_event(event, resource=resource, related=related, payload={"phase": at.flow, **payload})
    except Exception as fault:
        log.warning("event %s is not sent: %s", event, fault)


def _who() -> str:
    """User and machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _outermost_here(context: "FlowRunContext") -> "FlowRunContext":
    """The outermost flow run of this process: every context remembers the one that it covers."""
    while True:
        covered = context._token.old_value if context._token is not None else None
        if not isinstance(covered, type(context)) or covered.flow_run is None:
            return context
        context = covered


def _read_outermost(parent_task_run: str) -> tuple[str, str]:
    """The outermost run above a run that another process dispatched, as the server knows it."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        parent: str | UUID | None = parent_task_run
        while parent is not None:
            task_run = client.read_task_run(UUID(str(parent)))
            assert task_run.flow_run_id is not None
            run = client.read_flow_run(task_run.flow_run_id)
            parent = run.parent_task_run_id
    return str(run.id), run.name


def _journal(named: str | None = None) -> Journal:
    return _open(os.getpid(), os.environ.get("COGUMI_JOURNAL") or named or str(home()), named)


@lru_cache(maxsize=4)
def _open(process: int, place: str, named: str | None) -> Journal:
    """One connection pool per process and place; what a parent process opened is not used."""
    return Journal(named, notes=True)

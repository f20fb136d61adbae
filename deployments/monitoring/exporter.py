"""``cogumi metrics`` and ``cogumi up --metrics``: what Prometheus scrapes, computed from the journal's database
whenever it is asked.

The processes that do the work live for one run and expose nothing; what they wrote down stays. One exporter per
database, on any machine that reaches it. Not here: the rows (blocks/journal/journal.py, blocks/journal/history.py),
alerts and dashboard (monitoring/).
"""

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import Connection, func, select

from blocks.journal.budget import NANO, accounts
from blocks.journal.history import CACHED, FAILED, KEPT, PASSED, PROMOTED, RAN, REFUSED, ROLLED_BACK, happenings, there
from blocks.journal.journal import ANSWERED, INTENT, LOST, REJECTED, Journal, calls, hits
from blocks.printable import plain
from configs.errors import BadInput, CogumiError, Transient
from deployments.up.servers import guard
from deployments.up.servers.addresses import check_free, is_loopback, reached

log = logging.getLogger("cogumi.metrics")
BUCKETS = (1, 5, 15, 60, 300, 1800, 7200, 21600, 86400)  # seconds of a step, up to a day


def show() -> None:
    """Print the metrics once, for the node exporter's textfile collector.

    Raises:
        BadInput: there is no journal yet, or it cannot be opened.
    """
    if not there():
        raise BadInput(
            "there is no journal here yet, so there is nothing to measure; set COGUMI_HOME or COGUMI_JOURNAL, or run: "
            "cogumi run"
        )
    _openable()
    print(plain(generate_latest(registry()).decode()), end="")


def serve(host: str, port: int) -> None:
    """Answer Prometheus until interrupted.

    Raises:
        BadInput: the port is taken, or the journal cannot be opened.
    """
    _openable()
    with answering(host, port, "--port") as address:
        print(f"metrics  {address}\nready", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


@contextmanager
def answering(host: str, port: int, option: str) -> Iterator[str]:
    """Answer Prometheus meanwhile, in a thread of this process; gives the address. ``option``: what chose the port, for
    the error.

    Raises:
        BadInput: the port is taken.
    """
    check_free(
        host, port, option
    )  # in words of its own: Prometheus' server says of an unknown name nothing, and listens to all
    try:
        server, thread = start_http_server(port, addr=host, registry=registry())
    except OSError as error:
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}; choose another port with {option}") from None
    if is_loopback(host):  # what is for this machine only is not for pages that point a name of theirs at it either
        server.set_app(guard.named_only(make_wsgi_app(registry()), guard.names(host)))
    try:
        yield f"http://{reached(host)}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _openable() -> None:
    """Refuse a journal that waiting does not mend; of one whose server does not answer now the metrics say so."""
    if there():
        with suppress(Transient):
            Journal(None, notes=True).close()


def registry() -> CollectorRegistry:
    """Only our own metrics."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Cogumi())
    return made


class Cogumi:
    """Reads the journal's database at every scrape."""

    def collect(self) -> Iterator[Metric]:
        """All metrics; of a database that cannot be read only that it cannot."""
        up = GaugeMetricFamily("cogumi_journal_up", "1 if the journal's database can be read")
        found: list[Metric] = []
        try:
            if there():
                journal = Journal(None, notes=True)
                try:
                    with journal.reading() as db:
                        found = [*_teachers(db), *_steps(db), *_gates(db), *_releases(db)]
                finally:
                    journal.close()
            up.add_metric([], float(there()))
        except CogumiError as fault:
            log.warning("no metrics: %s", fault)
            up.add_metric([], 0.0)
        yield up
        yield from found


def _teachers(db: Connection) -> Iterator[Metric]:
    made = CounterMetricFamily(
        "cogumi_teacher_calls",
        "Calls by state: answered, rejected, lost, failed, or in flight (intent)",
        labels=["account", "teacher", "role", "state"],
    )
    dollars = CounterMetricFamily(
        "cogumi_teacher_dollars",
        "Dollars charged, lost calls at their worst case included",
        labels=["account", "teacher", "role"],
    )
    tokens = CounterMetricFamily(
        "cogumi_teacher_tokens",
        "Tokens read (prompt, of these cached) and written (completion)",
        labels=["account", "teacher", "role", "kind"],
    )
    retries = CounterMetricFamily(
        "cogumi_teacher_retries", "Requests that were tried again", labels=["account", "teacher", "role"]
    )
    who = (calls.c.account, calls.c.teacher, calls.c.role)
    sums = [
        func.sum(column)
        for column in (
            calls.c.price,
            calls.c.prompt_tokens,
            calls.c.cached_tokens,
            calls.c.completion_tokens,
            calls.c.retries,
        )
    ]
    for row in db.execute(select(*who, *sums).group_by(*who).order_by(*who)):
        labels, (price, prompt, cached, completion, again) = [*row[:3]], [float(value) for value in row[3:]]
        dollars.add_metric(labels, price / NANO)
        retries.add_metric(labels, again)
        for kind, count in (("prompt", prompt), ("cached", cached), ("completion", completion)):
            tokens.add_metric([*labels, kind], count)
    _count(
        made,
        db.execute(select(*who, calls.c.state, func.count()).group_by(*who, calls.c.state)).all(),
        (INTENT, ANSWERED, REJECTED, LOST, FAILED),
    )
    free = CounterMetricFamily(
        "cogumi_teacher_journal_hits", "Answers that the journal gave again, free", labels=["account", "teacher"]
    )
    for row in db.execute(select(hits.c.account, hits.c.teacher, hits.c.hits).order_by(hits.c.account, hits.c.teacher)):
        free.add_metric([row[0], row[1]], float(row[2]))
    spent = GaugeMetricFamily("cogumi_budget_spent_dollars", "Dollars settled in an account", labels=["account"])
    held = GaugeMetricFamily("cogumi_budget_reserved_dollars", "Dollars held for calls in flight", labels=["account"])
    for row in db.execute(select(accounts).order_by(accounts.c.name)):
        spent.add_metric([row.name], row.spent / NANO)
        held.add_metric([row.name], row.reserved / NANO)
    yield from (made, dollars, tokens, retries, free, spent, held)


def _steps(db: Connection) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "cogumi_steps", "Steps by how they ended: ran, cached, failed", labels=["flow", "step", "outcome"]
    )
    took = HistogramMetricFamily("cogumi_step_seconds", "Wall seconds of the steps that ran", labels=["flow", "step"])
    is_step = happenings.c.what == "step"
    who = (happenings.c.flow, happenings.c.name)
    _count(
        ended,
        db.execute(
            select(*who, happenings.c.outcome, func.count()).where(is_step).group_by(*who, happenings.c.outcome)
        ).all(),
        (RAN, CACHED, FAILED),
    )
    seconds: dict[tuple[str, str], list[float]] = {}
    for flow, step, value in db.execute(
        select(*who, happenings.c.seconds).where(is_step, happenings.c.outcome == RAN).order_by(*who)
    ):
        seconds.setdefault((flow, step), []).append(value)
    for labels, values in seconds.items():
        buckets = [(str(float(edge)), float(sum(value <= edge for value in values))) for edge in BUCKETS]
        took.add_metric([*labels], [*buckets, ("+Inf", float(len(values)))], sum(values))
    last = GaugeMetricFamily("cogumi_last_step_timestamp_seconds", "When the last step ended, seconds since 1970")
    newest = db.execute(select(func.max(happenings.c.at)).where(is_step)).scalar()
    if newest is not None:
        last.add_metric([], newest)
    stops = CounterMetricFamily("cogumi_budget_stops", "Runs that stopped because the budget was spent")
    stops.add_metric([], float(db.execute(select(func.count()).where(happenings.c.what == "budget")).scalar_one()))
    yield from (ended, took, last, stops)


def _gates(db: Connection) -> Iterator[Metric]:
    ended = CounterMetricFamily("cogumi_gates", "Gates by outcome: passed, failed", labels=["gate", "outcome"])
    value = GaugeMetricFamily(
        "cogumi_gate_value", "The number of a gate's check, the last time", labels=["gate", "check"]
    )
    threshold = GaugeMetricFamily(
        "cogumi_gate_threshold", "The threshold of a gate's check, the last time", labels=["gate", "check"]
    )
    is_gate = happenings.c.what == "gate"
    who = (happenings.c.name, happenings.c.outcome)
    _count(ended, db.execute(select(*who, func.count()).where(is_gate).group_by(*who)).all(), (PASSED, FAILED))
    failed = GaugeMetricFamily(
        "cogumi_gate_failed_timestamp_seconds", "When a gate last failed, seconds since 1970", labels=["gate"]
    )
    for row in db.execute(
        select(happenings.c.name, func.max(happenings.c.at))
        .where(is_gate, happenings.c.outcome == FAILED)
        .group_by(happenings.c.name)
    ):
        failed.add_metric([row[0]], row[1])
    newest = select(func.max(happenings.c.id)).where(is_gate).group_by(happenings.c.name)
    for row in db.execute(
        select(happenings.c.name, happenings.c.detail).where(happenings.c.id.in_(newest)).order_by(happenings.c.name)
    ):
        checks: list[dict[str, Any]] = json.loads(row.detail)["checks"]
        for check in {one["name"]: one for one in checks}.values():
            value.add_metric([row.name, check["name"]], check["value"])
            threshold.add_metric([row.name, check["name"]], check["threshold"])
    yield from (ended, failed, value, threshold)


def _releases(db: Connection) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "cogumi_releases",
        "Candidates by outcome: promoted, kept (the same again), refused; and releases that were rolled back to",
        labels=["outcome"],
    )
    is_release = happenings.c.what == "release"
    found = db.execute(
        select(happenings.c.outcome, func.count()).where(is_release).group_by(happenings.c.outcome)
    ).all()
    _count(ended, [(PROMOTED, 0), *found], (PROMOTED, KEPT, REFUSED, ROLLED_BACK))
    last = GaugeMetricFamily(
        "cogumi_release_promoted_timestamp_seconds", "When a release was last promoted, seconds since 1970"
    )
    newest = db.execute(select(func.max(happenings.c.at)).where(is_release, happenings.c.outcome == PROMOTED)).scalar()
    if newest is not None:
        last.add_metric([], newest)
    yield from (ended, last)


def _count(family: CounterMetricFamily, rows: Iterable[Sequence[Any]], known: Sequence[str]) -> None:
    """Add rows of labels and a count, and 0 for each ``known`` last label that has none: Prometheus sees no rise in a
    series that begins above 0."""
    counts = {tuple(row[:-1]): float(row[-1]) for row in rows}
    for labels in sorted({(*found[:-1], last) for found in counts for last in known} | set(counts)):
        family.add_metric([*labels], counts.get(labels, 0.0))

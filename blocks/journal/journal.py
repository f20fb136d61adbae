"""The journal: the durable record of every teacher call, in one database with the budget and the rate limits.

An intent is written before a call and the answer before its use. SQLite (WAL, synced at every commit) is enough for one
machine; PostgreSQL serves several. Writing transactions run one at a time, over all processes: SQLite's write lock,
an advisory lock in PostgreSQL. Not here: what a transaction does (teachers/claims.py).
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from blocks.journal.budget import metadata
from blocks.storage.home import home, keep_database_private
from configs.errors import BadInput, Transient

ANSWERED, REJECTED, INTENT, LOST, FAILED = "answered", "rejected", "intent", "lost", "failed"
"""States of a call. Answered and rejected are final and free from then on; an intent is in flight; lost was in flight
when its process died or its connection broke, and counts as spent; failed cost nothing and may be asked again."""
FINAL = (ANSWERED, REJECTED)
BATCH = "batch:"
"""An intent whose owner begins so belongs to a batch, not to a session."""
BUSY_SECONDS = 60
NOTES_SECONDS = 5
LOCK = 0x636F67756D69  # PostgreSQL's advisory lock of all writers: "cogumi"

calls = Table(
    "calls",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("account", String(200), nullable=False),
    Column("teacher", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("role", String(200), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("messages", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("price", BigInteger, nullable=False, default=0),
    Column("prompt_tokens", BigInteger, nullable=False, default=0),
    Column("cached_tokens", BigInteger, nullable=False, default=0),
    Column("completion_tokens", BigInteger, nullable=False, default=0),
    Column("retries", Integer, nullable=False, default=0),
    Column("text", Text, nullable=False, default=""),
    Column("reject", Text),
    Column("created", Float(53), nullable=False),
    Column("finished", Float(53)),
    Index("calls_owner", "owner", "state"),
    Index("calls_account", "account", "teacher", "state"),
)
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("process", String(64), nullable=False),
    Column("heartbeat", Float(53), nullable=False),
)
batches = Table(
    "batches",
    metadata,
    Column("marker", String(64), primary_key=True),
    Column("session", String(64), nullable=False),
    Column("id", String(200)),
    Column("created", Float(53), nullable=False),
    Column("finished", Float(53)),
)
rates = Table(
    "rates",
    metadata,
    Column("name", String(400), primary_key=True),
    Column("requests_at", Float(53), nullable=False),
    Column("tokens_at", Float(53), nullable=False),
)
repeats = Table(
    "repeats",  # Idempotency-Keys under which a call may be asked again; see teachers/repeats.py
    metadata,
    Column("key", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("first", Integer, nullable=False),
    Column("until", Float(53), nullable=False),
)
hits = Table(
    "hits",
    metadata,
    Column("account", String(200), primary_key=True),
    Column("teacher", String(200), primary_key=True),
    Column("hits", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded call, as the journal tells it."""

    key: str
    number: int
    teacher: str
    model: str
    state: str
    price: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    text: str
    reject: str | None


ROW = [calls.c[name] for name in Row.__slots__]


class Journal:
    """The database, opened and with its tables made. ``notes``: for rows that may be lost with the machine's power, at
    no wait for the disk.

    Raises:
        BadInput: the URL is wrong, its driver missing, or the database cannot be opened or written.
        Transient: the database's server does not answer.
    """

    def __init__(self, url: str | None, *, notes: bool = False) -> None:
        self._notes = notes
        self.url = os.environ.get("COGUMI_JOURNAL") or url or URL.create("sqlite", database=str(home() / "journal.db"))
        self._engine = self._connect()
        with self.writing() as db:
            metadata.create_all(db)

    def _connect(self) -> Engine:
        said = "COGUMI_JOURNAL" if os.environ.get("COGUMI_JOURNAL") else "teachers.journal"
        how = "write sqlite:////path/journal.db or postgresql+psycopg://user@host/database"
        try:
            parsed = make_url(self.url)
            self.name = parsed.set(query={}).render_as_string(
                hide_password=True
            )  # a password may stand in the query too
            if parsed.get_dialect().is_async or parsed.get_backend_name() not in {"sqlite", "postgresql"}:
                raise BadInput(
                    f"{said} {self.name}: a journal is in SQLite or in PostgreSQL, by a driver that is not "
                    f"asynchronous; {how}"
                )
            if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
                raise BadInput(f"{said} {self.name}: a journal in memory forgets what was paid for; {how}")
            if parsed.get_backend_name() == "sqlite":
                keep_database_private(Path(parsed.database or ""))
                engine = create_engine(
                    parsed,
                    connect_args={
                        "timeout": NOTES_SECONDS if self._notes else BUSY_SECONDS,
                        "check_same_thread": False,
                    },
                )
                event.listen(engine, "connect", _sqlite_connect_for_notes if self._notes else _sqlite_connect)
                event.listen(engine, "begin", _sqlite_begin)
                return engine
            return create_engine(parsed, pool_pre_ping=True)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise BadInput(
                f"{said} {self.name}: its driver is not installed ({error}); for PostgreSQL pip install "
                "'psycopg[binary]' and write postgresql+psycopg://"
            ) from None
        except (ArgumentError, ValueError):  # the latter of a port that is no number
            raise BadInput(f"{said} is not a database URL; {how}") from None

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that alone may write; durable when the block ends."""
        with self._faults(), self._engine.connect().execution_options(writing=True) as db, db.begin():
            if db.dialect.name == "postgresql":
                db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield db

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one consistent state and writes nothing."""
        with self._faults(), self._engine.connect() as db, db.begin():
            yield db

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """The database's own errors as one clear line, without the statement and its values."""
        try:
            yield
        except DatabaseError as error:
            reason = " ".join(str(error.orig).split())
            if "locked" in reason or (isinstance(error, OperationalError) and self._engine.dialect.name != "sqlite"):
                raise Transient(f"journal {self.name}: {reason}") from None  # a busy or restarting database
            if "full" in reason:  # SQLite's word for the disk
                raise BadInput(
                    f"cannot write to the journal {self.name}: {reason}; make room and run again: what it holds is kept"
                ) from None
            damaged = any(word in reason for word in ("malformed", "not a database"))  # SQLite's words
            advice = (
                "; if it is damaged, bring back a copy or move it away: what it holds would be asked and paid for again"
                if damaged
                else ""
            )
            raise BadInput(
                f"cannot use the journal {self.name}: {reason}; see COGUMI_JOURNAL, teachers.journal and "
                f"COGUMI_HOME{advice}"
            ) from None

    def find(self, keys: Sequence[str]) -> dict[str, Row]:
        """The final answers recorded under ``keys``."""
        found: dict[str, Row] = {}
        with self.reading() as db:
            for start in range(0, len(keys), 500):
                rows = db.execute(
                    select(*ROW).where(calls.c.key.in_(keys[start : start + 500]), calls.c.state.in_(FINAL))
                )
                found.update({row.key: Row(*row) for row in rows})
        return found

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def clock(db: Connection) -> float:
    """Seconds since 1970 by the database's clock, which all its users share."""
    if db.dialect.name == "postgresql":
        return float(db.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()


def _sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event decides, not the driver
    deadline = time.monotonic() + NOTES_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except (
            sqlite3.OperationalError
        ) as error:  # of two that open a new file at once one is refused at once: SQLite does not wait here
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")


def _sqlite_connect_for_notes(connection: Any, record: Any) -> None:
    _sqlite_connect(connection, record)
    connection.execute("PRAGMA synchronous=NORMAL")


def _sqlite_begin(db: Connection) -> None:
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writing") else "BEGIN")
